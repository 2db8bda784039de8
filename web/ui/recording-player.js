/** The player of a recording, and its files with links that can be shared. */
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { Player } from "../lib/player.js";

/** @type {Record<string, string>} */
const FILES = {
  "cleaned.wav": "the sound after filtering",
  "before.wav": "the same channel before filtering, or the channel that was classified",
  "report.json": "levels, noise and emergencies, for programs",
  "report.png": "the report as a picture",
  "overview.json": "the pictures of the player, for programs",
};

/**
 * @param {{id: string, report: Api.RecordingReport, overview: import("../lib/player.js").Overview | null, downloads: Record<string, string>,
 *   position: number, player: {current: Player | null}}} props  `player` is a ref that receives the player
 */
export function RecordingPlayer({ id, report, overview, downloads, position, player }) {
  const container = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => {
    if (!container.current) return undefined;
    const shown = player.current = new Player(container.current, {
      seconds: report.seconds, overview, position,
      sounds: { before: downloads["before.wav"], after: downloads["cleaned.wav"] },
      noise: (report.noise ?? []).map((span) => ({ ...span, label: span.label.replaceAll("_", " ") })),
      alarms: (report.emergencies ?? []).map((span) => ({ ...span, label: span.kind })),
    });
    return () => shown.destroy();
  }, [id, position]);
  const link = () => new URL(`#/recordings/${encodeURIComponent(id)}?t=${(player.current?.position ?? 0).toFixed(1)}`, location.href).href;
  return html`<section class="card wide" aria-labelledby="player">
    <div class="heading"><h2 id="player">Sound</h2><div class="actions"><${CopyButton} text=${link} name="Copy link to this position" /></div></div>
    <div ref=${container}></div>
    ${overview
      ? html`<p class="hint">Click, drag or use the arrow keys to move; Space plays${downloads["cleaned.wav"] ? ", B switches" : ""}. Colours show 70 dB below the loudest sound. The link is for you: others cannot open your recordings.</p>`
      : html`<p class="hint">This recording was processed by a version that made no waveform and spectrogram. Upload it again to see them.</p>`}
  </section>`;
}

/** The files of a recording: each, or all of them, can be downloaded, and its link can be given to others. @param {{downloads: Record<string, string>}} props */
export function RecordingFiles({ downloads }) {
  const links = Object.entries(downloads);
  const expires = expiry(links[0]?.[1]);
  const downloadAll = () => {
    for (const [name, href] of links) Object.assign(document.createElement("a"), { href, download: name }).click();
  };
  return html`<section class="card wide" aria-labelledby="files">
    <div class="heading"><h2 id="files">Files</h2><div class="actions"><button onClick=${downloadAll}>Download all</button></div></div>
    <table class="files"><thead><tr><th>File</th><th><span class="visually-hidden">Share</span></th></tr></thead>
      <tbody>${links.map(([name, href]) => html`<tr key=${name}><td><a href=${href} download>${name}</a><small>${FILES[name]}</small></td>
        <td><${CopyButton} text=${() => new URL(href, location.href).href} name="Copy link" of=${name} /></td></tr>`)}</tbody></table>
    <p class="hint">Whoever has the link of a file can download it without signing in${expires && html` until <b>${expires.toLocaleTimeString([], { timeStyle: "short" })}</b>`}. Reload this page for new links.</p>
  </section>`;
}

/** A button that copies a text, which `text` returns when it is clicked. @param {{text: () => string, name: string, of?: string}} props */
function CopyButton({ text, name, of = "" }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setCopied(true);
      setTimeout(() => setCopied(false), 3000);
    } catch {
      prompt("Copy this link:", text()); // browsers allow the clipboard on https and on this machine only
    }
  };
  return html`<button class="quiet" onClick=${copy} aria-label=${of ? `${name} of ${of}` : null}><span role="status">${copied ? "Copied" : name}</span></button>`;
}

/** Return when a signed link expires, on this machine or on S3; null if it does not say. @param {string} [link] */
function expiry(link) {
  const fields = new URL(link ?? "", location.href).searchParams;
  if (fields.has("expires")) return new Date(1000 * Number(fields.get("expires")));
  const signed = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(fields.get("X-Amz-Date") ?? "");
  if (!signed) return null;
  const [year, month, ...rest] = signed.slice(1).map(Number);
  return new Date(Date.UTC(year, month - 1, ...rest) + 1000 * Number(fields.get("X-Amz-Expires")));
}
