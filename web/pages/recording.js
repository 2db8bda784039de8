/** One recording: its progress, a player, its report and its files. */
import { html, useRef, useState } from "../lib/html.js";
import { sameOrigin } from "../lib/rest.js";
import { Chart } from "../ui/chart.js";
import { RecordingFiles, RecordingPlayer } from "../ui/recording-player.js";
import { Alert, bytes, Figure, Heading, JobState, percent, useRequest, when } from "../ui/parts.js";

const POLL_MS = 3000;

/** @param {PageProps} props */
export function Recording({ rest, id, query }) {
  const [finished, setFinished] = useState(false);
  const { data, error } = useRequest(async () => {
    const job = await rest.get(`/api/audio/jobs/${encodeURIComponent(id)}`);
    const document = async (/** @type {string} */ name) => {
      const link = job.downloads[name]; // recordings of earlier versions have no overview
      return link ? (await fetch(link)).json() : null;
    };
    for (const [name, link] of Object.entries(job.downloads)) job.downloads[name] = sameOrigin(link);
    setFinished(job.state === "done" || job.state === "failed");
    /** @type {[Api.RecordingReport | null, import("../lib/player.js").Overview | null]} */
    const [report, overview] = await Promise.all([document("report.json"), document("overview.json")]);
    return { job, report, overview };
  }, [id, finished], finished ? 0 : POLL_MS);
  const job = data?.job;
  const report = data?.report;
  return html`
    <${Heading} title=${job?.name || "Recording"} text=${job && `${report ? `${report.seconds.toFixed(0)} s, ` : ""}${bytes(job.size)}, uploaded ${when(job.created)}`}>
      <a class="button" href="#/recordings">All recordings</a>
    <//>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${job?.failure && html`<${Alert} kind="error">${job.failure}<//>`}
    ${job && !finished && html`<${Alert}><${JobState} ...${job} /><//>`}
    ${report?.note && html`<${Alert} kind="error">${report.note}<//>`}
    ${report && html`<${Report} ...${{ id, job, report, overview: data.overview }} position=${Number(new URLSearchParams(query).get("t")) || 0} />`}`;
}

/**
 * @param {{id: string, job: Api.Job, report: Api.RecordingReport, overview: import("../lib/player.js").Overview | null, position: number}} props
 */
function Report({ id, job, report, overview, position }) {
  const player = useRef(/** @type {import("../lib/player.js").Player | null} */ (null));
  const seek = (/** @type {number} */ seconds) => player.current?.seek(seconds);
  const { before, after } = report;
  const seconds = before.by_second_dbfs.map((_, s) => s + 0.5);
  const pair = [{ label: "before", colour: "before" }, { label: "after", colour: "after" }];
  const thirds = Object.keys(before.thirds_dbfs).sort((a, b) => Number(a) - Number(b));
  const both = (/** @type {(levels: Api.Levels) => number[]} */ of) => (after ? [of(before), of(after)] : [of(before)]);
  return html`<div class="columns">
    <section class="card wide"><p>${channelsText(report)}</p><dl class="figures">
      ${after && html`
        <${Figure} kind="large" id="attenuation" name="Attenuation" value=${report.attenuation_db?.toFixed(1)} unit="dB" />
        <${Figure} name="Second half" value=${report.attenuation_last_half_db?.toFixed(1)} unit="dB" />
        <${Figure} name="A-weighted" value=${report.attenuation_dba?.toFixed(1)} unit="dB(A)" />`}
      <${Figure} name=${after ? "Before" : "Level"} value=${before.level_dbfs.toFixed(1)} unit="dBFS" />
      ${after && html`
        <${Figure} name="After" value=${after.level_dbfs.toFixed(1)} unit="dBFS" />
        <${Figure} name="Filter" value=${report.mode === "predict" ? "Prediction" : report.algorithm.toUpperCase()} unit=${`${report.taps} taps`} />`}
    </dl></section>
    <${RecordingPlayer} ...${{ id, report, overview, position, player }} downloads=${job.downloads} />
    <section class="card"><${Chart} title="Level per second" y="dBFS" data=${[seconds, ...both((levels) => levels.by_second_dbfs)]} lines=${pair.slice(0, after ? 2 : 1)} /></section>
    <section class="card"><${Chart} title="Level per third-octave band" x="Hz" y="dBFS" logarithmic
      data=${[thirds.map(Number), ...both((levels) => thirds.map((third) => levels.thirds_dbfs[third]))]} lines=${pair.slice(0, after ? 2 : 1)} /></section>
    <section class="card"><h2>Noise</h2><${Spans} seek=${seek} spans=${report.noise} text=${(/** @type {Api.NoiseSpan} */ span) => `${span.label}, confidence ${percent(span.confidence)}`} none="Noise: not classified." /></section>
    <section class="card"><h2>Emergencies</h2><${Spans} seek=${seek} spans=${report.emergencies} text=${(/** @type {Api.AlarmSpan} */ span) => `${span.kind}, confidence ${percent(span.score)}`} none="No emergency was detected." /></section>
    <${RecordingFiles} downloads=${job.downloads} />
  </div>`;
}

/** Return what was done with the channels. @param {{mode: string, channels: number}} report */
function channelsText({ mode, channels }) {
  if (mode === "cancel") return "Two channels: what channel 1 (left, the reference) predicts was removed from channel 2 (right). The result and the levels are of channel 2.";
  if (mode === "predict") return "One channel: the part of it that can be predicted, such as hum, was removed.";
  return channels === 1 ? "One channel: noise was classified and alarms were detected. Nothing was removed."
    : `${channels} channels: noise was classified and alarms were detected in every channel. Nothing was removed. The levels are of channel 2.`;
}

/**
 * @template {{from_s: number, to_s: number}} S
 * @param {{spans?: S[] | null, seek: (seconds: number) => void, text: (span: S) => string, none: string}} props
 */
function Spans({ spans, seek, text, none }) {
  if (!spans?.length) return html`<p class="hint">${none}</p>`;
  return html`<ol class="log spans" tabindex="0">${spans.map((span) => html`<li key=${span.from_s}>
    <button class="quiet" onClick=${() => seek(span.from_s)} title="Go to this position">${span.from_s.toFixed(0)} to ${span.to_s.toFixed(0)} s</button><span>${text(span)}</span></li>`)}</ol>`;
}
