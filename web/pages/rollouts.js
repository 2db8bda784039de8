/** Rollouts: firmware or configuration for many headsets, in stages. Each shows what, to whom, by whom, and how far. */
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { fieldsOf } from "../lib/form.js";
import { Pages } from "../ui/filters.js";
import { Alert, Empty, Heading, useRequest, when } from "../ui/parts.js";

const POLL_MS = 5000;
const PAGE = 20;
/** @type {Api.RolloutHeadset["status"][]} */
const FAILED = ["failed", "rejected", "timed_out"];
const STATUSES = {
  waiting: "waiting", queued: "job not fetched yet", in_progress: "under way", succeeded: "updated",
  failed: "failed", rejected: "rejected", timed_out: "timed out", cancelled: "cancelled",
};
const BATCHES = 5; // a page of headsets
const FINAL = ["done", "stopped", "cancelled"];
const STATES = { active: "", paused: "", done: "good", stopped: "bad", cancelled: "" };
const STAGES = { planning: "selecting headsets", canary: "canary", fleet: "all headsets" };
/** @type {Record<keyof Api.RolloutConditions, (value: any) => string>} */
const CONDITIONS = {
  model: (text) => `model ${text}`, firmware: (text) => `running ${text}`, tag: (text) => `tag ${text}`,
  prefix: (text) => `name begins with ${text}`, owner: (text) => `owner ${text}`, noise: (text) => `noise ${text}`,
  online: (isOnline) => (isOnline ? "online" : "not online"), attenuation_below: (db) => `attenuation below ${db} dB`,
  refused_since: (at) => `a message refused since ${when(at)}`, reverted_since: (at) => `a filter reverted since ${when(at)}`,
};
/** @type {Record<keyof Api.HeadsetConfig, string>} */
const SETTINGS = { snapshot_interval_s: "snapshot interval", telemetry_interval_s: "telemetry interval", private: "private" };

/** @param {PageProps} props */
export function Rollouts({ rest, query }) {
  const view = new URLSearchParams(query);
  const after = view.get("after") ?? "";
  const { data, error, reload } = useRequest(() => rest.get(`/api/rollouts?limit=${PAGE}&after=${after}`), [query], POLL_MS);
  const [isOpen, setOpen] = useState(view.has("new")); // the fleet page links to a rollout to its headsets
  const close = () => {
    setOpen(false);
    if (view.has("new")) location.hash = "#/rollouts";
  };
  return html`
    <${Heading} title="Rollouts" text="Firmware and configuration in stages. A rollout stops by itself when headsets fail or attenuate less.">
      ${!isOpen && html`<button class="primary" onClick=${() => setOpen(true)}>New rollout</button>`}
    <//>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    <div class="stack">
      ${isOpen && html`<${NewRollout} rest=${rest} view=${view} close=${close} onCreated=${() => { close(); reload(); }} />`}
      ${data && html`<section class="card" aria-label="Rollouts">
        ${data.rollouts.length
          ? html`<ol class="emergencies rollouts">${data.rollouts.map((rollout) => html`<${Item} key=${rollout.id} ...${{ rollout, rest, reload }} />`)}</ol>`
          : html`<${Empty} title="No rollouts yet">Click “New rollout” to change the firmware or the configuration of many headsets.<//>`}
        <${Pages} page="rollouts" view=${new URLSearchParams(after && { after })} next=${data.next} label="Pages of rollouts" />
      </section>`}
    </div>`;
}

/** @param {{rollout: Api.Rollout, rest: Rest, reload: () => void}} props */
function Item({ rollout, rest, reload }) {
  const [error, setError] = useState("");
  const [isCancelling, setCancelling] = useState(false);
  const act = async (/** @type {Api.RolloutChange["action"]} */ action) => {
    setCancelling(false);
    try {
      await rest.patch(`/api/rollouts/${rollout.id}`, { action });
      setError("");
      reload();
    } catch (failure) {
      setError(failure.message);
    }
  };
  const { name, state, stage, reason, counts, headsets } = rollout;
  const isFinal = FINAL.includes(state);
  return html`<li>
    <div class="what"><b>${name}</b><span class=${`tag ${STATES[state]}`}>${state}</span>
      <span>${content(rollout)}</span>${!isFinal && html`<small>${STAGES[stage]}</small>`}</div>
    <div class="state">
      ${state === "active" && html`<button aria-label=${`Pause ${name}`} onClick=${() => act("pause")}>Pause</button>`}
      ${state === "paused" && html`<button aria-label=${`Resume ${name}`} onClick=${() => act("resume")}>Resume</button>`}
      ${!isFinal && html`<button class="quiet danger" aria-label=${`Cancel ${name}`} onClick=${() => setCancelling(true)}>Cancel</button>`}
    </div>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${reason && html`<${Alert} kind=${state === "stopped" ? "error" : "note"}>${state === "stopped" ? "Stopped" : "Ended"}: ${reason}.<//>`}
    <div class="comment">
      <${Progress} counts=${counts} headsets=${headsets} />
      <p>${target(rollout)}. ${attenuation(rollout)}</p>
      <small>Created by ${rollout.created_by}, ${when(rollout.created)}${changed(rollout)}</small>
      ${stage !== "planning" && html`<${Headsets} rollout=${rollout} rest=${rest} />`}
    </div>
    ${isCancelling && html`<${Confirm} name=${name} confirm=${() => act("cancel")} close=${() => setCancelling(false)} />`}
  </li>`;
}

/** How many headsets have got it, as a bar and in words. @param {Pick<Api.Rollout, "counts" | "headsets">} props */
function Progress({ counts, headsets }) {
  const failed = FAILED.reduce((sum, status) => sum + counts[status], 0);
  const open = counts.queued + counts.in_progress;
  const share = (/** @type {number} */ number) => `${(100 * number) / Math.max(headsets, 1)}%`;
  const text = [
    `${counts.succeeded.toLocaleString()} of ${headsets.toLocaleString()} updated`,
    failed && `${failed.toLocaleString()} failed`, open && `${open.toLocaleString()} under way`,
    counts.cancelled && `${counts.cancelled.toLocaleString()} cancelled`,
  ].filter(Boolean).join(", ");
  return html`<div class="bar" aria-hidden="true">
      <i class="good" style=${{ width: share(counts.succeeded) }}></i><i class="bad" style=${{ width: share(failed) }}></i>
      <i style=${{ width: share(open) }}></i></div><p>${text}</p>`;
}

/** The headsets in the order in which they get it, loaded when they are opened. @param {{rollout: Api.Rollout, rest: Rest}} props */
function Headsets({ rollout: { id, name }, rest }) {
  const [pages, setPages] = useState(/** @type {Api.RolloutHeadsets[]} */ ([]));
  const [error, setError] = useState("");
  const load = async (/** @type {string} */ after) => {
    try {
      const page = await rest.get(`/api/rollouts/${id}/headsets?limit=${BATCHES}&after=${after}`);
      setPages((known) => (after ? [...known, page] : [page]));
      setError("");
    } catch (failure) {
      setError(failure.message);
    }
  };
  const next = pages.at(-1)?.next;
  return html`<details onToggle=${(event) => event.target.open && load("")}>
    <summary>Headsets<span class="visually-hidden"> of ${name}</span></summary>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${pages.length > 0 && html`<div class="table"><table>
      <thead><tr><th>Headset</th><th>Update</th><th>Since</th><th>Attenuation before</th></tr></thead>
      <tbody>${pages.flatMap(({ headsets }) => headsets).map(({ thing, status, at, before_db }) => html`<tr key=${thing}>
        <td><a href=${`#/headsets/${encodeURIComponent(thing)}`}>${thing}</a></td><td>${STATUSES[status]}</td>
        <td>${at ? when(at) : ""}</td><td>${before_db == null ? "" : `${before_db.toFixed(1)} dB`}</td></tr>`)}</tbody>
    </table></div>`}
    ${next && html`<button onClick=${() => load(next)}>More headsets</button>`}
  </details>`;
}

/** @param {Api.Rollout} rollout */
function content({ firmware, config }) {
  if (firmware) return `firmware ${firmware.version}`;
  return entriesOf(SETTINGS).map(([name, label]) => [label, config?.[name]]).filter(([, value]) => value != null)
    .map(([label, value]) => `${label} ${value === true ? "on" : `${value} s`}`).join(", ");
}

/** @template {object} T @param {T} record @returns {[keyof T, NonNullable<T[keyof T]>][]} */
function entriesOf(record) {
  return /** @type {any} */ (Object.entries(record));
}

/** @param {Api.Rollout} rollout */
function target({ query, things, canary_percent, per_minute }) {
  const conditions = entriesOf(CONDITIONS).filter(([name]) => query[name] != null && query[name] !== "").map(([name, text]) => text(query[name]));
  const whom = things.length ? `${things.length} chosen ${things.length === 1 ? "headset" : "headsets"}` : conditions.join(", ") || "all headsets";
  return `${whom[0].toUpperCase()}${whom.slice(1)}: ${canary_percent} % first, then ${per_minute} a minute`;
}

/** @param {Api.Rollout} rollout */
function attenuation({ state, updated_change_db, other_change_db, measured }) {
  if (updated_change_db == null) return FINAL.includes(state) ? "" : "The effect on the attenuation is not known yet.";
  const others = other_change_db == null ? "" : `, of the others by ${signed(other_change_db)}`;
  return `The attenuation of ${measured.toLocaleString()} updated headsets changed by ${signed(updated_change_db)}${others}.`;
}

/** @param {number} db */
function signed(db) {
  return `${db > 0 ? "+" : db < 0 ? "−" : ""}${Math.abs(db).toFixed(1)} dB`;
}

/** @param {Api.Rollout} rollout */
function changed({ state, changed_by, changed: at, created }) {
  if (at === created) return "";
  return `; ${state === "active" ? "resumed" : state} ${changed_by ? `by ${changed_by}` : "by the platform"}, ${when(at)}`;
}

/** @param {{name: string, confirm: () => void, close: () => void}} props */
function Confirm({ name, confirm, close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby="confirm" onCancel=${close}>
    <h2 id="confirm">Cancel ${name}?</h2>
    <p>Headsets that have not finished lose their job. Those that have finished keep what they got. This cannot be undone.</p>
    <div class="choices"><button class="primary" onClick=${close} autofocus>Keep it running</button>
      <button onClick=${confirm}>Cancel the rollout</button></div>
  </dialog>`;
}

/** @param {{rest: Rest, view: URLSearchParams, close: () => void, onCreated: () => void}} props  `view`: what the form begins with */
function NewRollout({ rest, view, close, onCreated }) {
  const things = view.get("things")?.split(",") ?? [];
  const [kind, setKind] = useState("firmware");
  const [error, setError] = useState("");
  const submit = async (/** @type {Submit} */ event) => {
    event.preventDefault();
    const form = event.target;
    try {
      await rest.post("/api/rollouts", await request(form, kind, things));
      onCreated();
    } catch (failure) {
      setError(failure.message);
    }
  };
  return html`<section class="card" aria-labelledby="new"><h2 id="new">New rollout</h2>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    <form class="filters" onSubmit=${submit}>
      <label>Name<input name="name" required maxlength="64" autocomplete="off" /></label>
      <label>What<select name="kind" value=${kind} onChange=${(event) => setKind(event.target.value)}>
        <option value="firmware">Firmware</option><option value="config">Configuration</option></select></label>
      ${kind === "firmware"
        ? html`<label>Version<input name="version" required pattern="[0-9]{1,5}\\.[0-9]{1,5}\\.[0-9]{1,5}" placeholder="1.5.0" title="Three numbers" autocomplete="off" /></label>
          <label>Image, to check downloads<input name="image" type="file" required /></label>
          <label>URL of the image<input name="url" type="url" required maxlength="1024" placeholder="https://" autocomplete="off" /></label>`
        : html`<label>Snapshot interval (s)<input name="snapshot_interval_s" type="number" min="5" max="3600" step="any" /></label>
          <label>Telemetry interval (s)<input name="telemetry_interval_s" type="number" min="60" max="86400" step="any" /></label>
          <label>Private mode<select name="private"><option value="">No change</option><option value="true">On</option></select></label>`}
      ${things.length > 0
        ? html`<p class="hint">To the ${things.length === 1 ? "headset" : `${things.length} headsets`} selected on the Fleet page.</p>`
        : html`<${Condition} view=${view} name="model" label="Model" maxLength=${64} />
          <${Condition} view=${view} name="running" label="Running firmware" maxLength=${17} />
          <${Condition} view=${view} name="prefix" label="Name begins with" maxLength=${64} />
          <${Condition} view=${view} name="tag" label="Tag" maxLength=${32} />
          <${Condition} view=${view} name="owner" label="Owner" maxLength=${128} />
          <${Condition} view=${view} name="noise" label="Noise" maxLength=${64} />
          <${Connection} value=${view.get("online") ?? ""} />
          <${Limit} view=${view} name="attenuation_below" label="Attenuation below (dB)" min=${-100} max=${100} />
          <${Limit} view=${view} name="refused_hours" label="Refused within (h)" min=${0.01} max=${720} />
          <${Limit} view=${view} name="reverted_hours" label="Reverted within (h)" min=${0.01} max=${720} />`}
      <label>First, % of headsets<input name="canary_percent" type="number" min="0.1" max="100" step="any" value="5" required /></label>
      <label>Wait before the rest (min)<input name="soak_minutes" type="number" min="0" max="10080" step="any" value="60" required /></label>
      <label>Headsets a minute<input name="per_minute" type="number" min="10" max="1000" value="100" required /></label>
      <label>Stop above failures (%)<input name="max_failed_percent" type="number" min="0" max="100" step="any" value="5" required /></label>
      <label>Stop when lower by (dB)<input name="max_drop_db" type="number" min="0.5" max="40" step="any" value="2" required /></label>
      <button class="primary">Start rollout</button><button type="button" onClick=${close}>Close</button>
    </form>
  </section>`;
}

/** @param {{view: URLSearchParams, name: string, label: string, maxLength: number}} props */
function Condition({ view, name, label, maxLength }) {
  return html`<label>${label}<input name=${name} defaultValue=${view.get(name) ?? ""} maxlength=${maxLength} placeholder="any" autocapitalize="none" autocomplete="off" /></label>`;
}

/** The list behind the form is loaded again and again, so the choice is only set at first. @param {{value: string}} props */
function Connection({ value }) {
  const options = { "": "Any", true: "Online", false: "Not online", ...(["", "true", "false"].includes(value) ? {} : { [value]: value }) };
  return html`<label>Connection<select name="online">
    ${Object.entries(options).map(([key, shown]) => html`<option key=${key} value=${key} selected=${key === value}>${shown}</option>`)}</select></label>`;
}

/** @param {{view: URLSearchParams, name: string, label: string, min: number, max: number}} props */
function Limit({ view, name, label, min, max }) {
  return html`<label>${label}<input name=${name} type="number" defaultValue=${view.get(name) ?? ""} min=${min} max=${max} step="any" placeholder="any" /></label>`;
}

/** @type {("canary_percent" | "soak_minutes" | "per_minute" | "max_failed_percent" | "max_drop_db")[]} */
const NUMBERS = ["canary_percent", "soak_minutes", "per_minute", "max_failed_percent", "max_drop_db"];

/**
 * Return the request for the fields of a form. The image itself is not uploaded: only its hash and size are sent.
 * @param {HTMLFormElement} form @param {string} kind @param {string[]} things  the chosen headsets, instead of conditions
 * @returns {Promise<Api.NewRollout>}
 */
async function request(form, kind, things) {
  const fields = fieldsOf(form);
  const number = (/** @type {string} */ name) => (fields[name] === "" ? null : Number(fields[name]));
  // Another word from a hand-written link is sent as it is, and refused: without it, more headsets would match.
  const online = /** @type {boolean | null} */ ({ true: true, false: false }[fields.online] ?? (fields.online || null));
  const what = kind === "firmware"
    ? { firmware: { version: fields.version, url: fields.url, ...(await fingerprint(/** @type {File} */ (new FormData(form).get("image")))) } }
    : { config: { snapshot_interval_s: number("snapshot_interval_s"), telemetry_interval_s: number("telemetry_interval_s"), private: fields.private ? true : null } };
  const text = (/** @type {string} */ name) => (fields[name] ?? "").trim();
  const selection = things.length ? { things } : { query: {
    prefix: text("prefix"), model: text("model"), firmware: text("running"), tag: text("tag"), owner: text("owner"), noise: text("noise"), online,
    attenuation_below: number("attenuation_below"), refused_hours: number("refused_hours"), reverted_hours: number("reverted_hours"),
  } };
  return { name: fields.name.trim(), ...what, ...selection, ...Object.fromEntries(NUMBERS.map((name) => [name, number(name)])) };
}

/** @param {File} file */
async function fingerprint(file) {
  if (!crypto.subtle) throw new Error("The hash of the image needs a secure connection: open the console over https, or use anc rollouts.");
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return { sha256: [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join(""), size: file.size };
}
