/** The card that chooses, previews and uploads recordings. */
import { html, useEffect, useState } from "../lib/html.js";
import { record } from "../lib/recorder.js";
import { explain, Uploads } from "../lib/uploads.js";
import { Alert, bytes, Choice, percent, useRequest } from "../ui/parts.js";

/** @typedef {import("../lib/uploads.js").Mode} Mode */
/** @typedef {import("../lib/uploads.js").Item} Item */

/** @type {Options<Mode>} */
const MODES = [["", "Automatic"], ["cancel", "Cancel"], ["predict", "Predict"], ["classify", "Classify"]];
/** @type {Partial<Record<Item["state"], string>>} */
const STATES = {
  checking: "Reading its header", rejected: "Cannot be used", queued: "Queued", interrupted: "Waiting for the connection",
};

/** @param {{rest: Rest, onSent: () => void}} props */
export function Upload({ rest, onSent }) {
  const [uploads] = useState(() => new Uploads(rest));
  const [, setVersion] = useState(0);
  const [mode, setMode] = useState(/** @type {Mode} */ (""));
  const { data: accepted, error } = useRequest(() => rest.get("/api/audio/formats"), []);
  useEffect(() => {
    const change = () => setVersion((version) => version + 1);
    uploads.addEventListener("change", change);
    uploads.addEventListener("sent", onSent);
    const warn = (/** @type {Event} */ event) => { if (uploads.running) event.preventDefault(); };
    addEventListener("beforeunload", warn);
    return () => {
      uploads.removeEventListener("change", change);
      uploads.removeEventListener("sent", onSent);
      removeEventListener("beforeunload", warn);
    };
  }, [uploads]);
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    uploads.add(event.dataTransfer?.files ?? []);
  };
  const choose = (/** @type {On<HTMLInputElement>} */ event) => {
    uploads.add(event.target.files ?? []);
    event.target.value = ""; // the same file can be chosen again
  };
  const ready = uploads.items.filter((item) => item.state === "ready" && explain(item, mode).possible).length;
  const formats = accepted?.formats ?? [];
  return html`<section class="card drop" onDragOver=${(event) => event.preventDefault()} onDrop=${drop} aria-label="Upload recordings">
    <${Choice} name="Processing" value=${mode} options=${MODES} onChange=${setMode} />
    <label class="button">Choose recordings<input class="visually-hidden" type="file" multiple
      accept=${formats.flatMap(({ suffixes }) => suffixes).join(",")} onChange=${choose} /></label>
    <${Recorder} onRecorded=${(/** @type {File} */ file) => uploads.add([file])} />
    <span class="hint">${formats.length > 0 && `or drop files here: ${formats.map(({ name }) => name).join(", ")}`}</span>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${uploads.items.length > 0 && html`<ul class="pending">${uploads.items.map((item) => html`
      <${Pending} key=${item.id} item=${item} mode=${mode} remove=${() => uploads.remove(item)} />`)}</ul>`}
    ${ready > 0 && html`<button class="primary" onClick=${() => uploads.start(mode)}>${uploads.items.length === 1 ? "Upload it" : ready === 1 ? "Upload 1 recording" : `Upload ${ready} recordings`}</button>`}
  </section>`;
}

/** @param {{item: Item, mode: Mode, remove: () => void}} props */
function Pending({ item, mode, remove }) {
  const { file, state, preview, share } = item;
  const { possible, text } = explain(item, item.mode ?? mode);
  const sound = preview && [preview.format, `${preview.rate.toLocaleString("en")} Hz`,
    `${preview.channels} ${preview.channels === 1 ? "channel" : "channels"}`, preview.seconds && duration(preview.seconds)];
  const busy = state === "sending" || state === "interrupted";
  return html`<li>
    <div><strong>${file.name}</strong> <small>${[bytes(file.size), ...(sound ?? [])].filter(Boolean).join(", ")}</small></div>
    ${!busy && html`<button class="quiet" onClick=${remove} aria-label=${`Do not upload ${file.name}`}>Remove</button>`}
    ${text && !item.error && html`<p class=${possible ? "hint" : "rejection"}>${text}</p>`}
    ${item.error && html`<p class="rejection" role="alert">${item.error}</p>`}
    ${busy ? html`<p class="sending" role="status"><progress value=${share} aria-label=${`Uploading ${file.name}`}></progress>${STATES[state] ?? `${percent(share)} uploaded`}</p>`
      : STATES[state] && html`<p class="hint" role="status">${STATES[state]}</p>`}
  </li>`;
}

/** @param {{onRecorded: (file: File) => void}} props */
function Recorder({ onRecorded }) {
  const [recording, setRecording] = useState(/** @type {{stop: () => Promise<File>, since: number} | null} */ (null));
  const [now, setNow] = useState(0);
  const [error, setError] = useState("");
  useEffect(() => {
    if (!recording) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [recording]);
  useEffect(() => () => { recording?.stop(); }, [recording]);
  const start = async () => {
    setError("");
    try {
      setRecording({ ...await record(), since: Date.now() });
      setNow(Date.now());
    } catch (failure) {
      setError(failure.message);
    }
  };
  const stop = async () => {
    if (!recording) return;
    const file = await recording.stop();
    setRecording(null);
    onRecorded(file);
  };
  return html`${recording
    ? html`<button class="siren" onClick=${stop}>Stop recording (${duration((now - recording.since) / 1000)})</button>`
    : html`<button onClick=${start}>Record</button>`}
    ${error && html`<${Alert} kind="error">${error}<//>`}`;
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
