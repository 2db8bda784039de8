/** What can be done with the selected headsets of the fleet: tag them, roll something out to them, remove them. */
import { fieldsOf } from "../lib/form.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { link } from "../lib/view.js";
import { Alert } from "./parts.js";

export const TAG = "[a-z][a-z0-9\\-]{0,31}";
export const TAG_RULE = "A lowercase letter, then lowercase letters, digits or hyphens; at most 32";
const AGAIN = ["unavailable", "failed"]; // codes of headsets for which a request can be repeated
/** @type {Record<string, string>} */
const ROLLOUT_FILTERS = {
  name: "prefix", tag: "tag", owner: "owner", model: "model", firmware: "running", noise: "noise", online: "online",
  attenuation_below: "attenuation_below", refused_hours: "refused_hours", reverted_hours: "reverted_hours",
};
const NUMBERS = ["attenuation_below", "refused_hours", "reverted_hours"];

/**
 * The bar with the actions; it is shown while headsets are selected.
 * @param {{rest: Rest, selected: string[], matching?: number, conditions: URLSearchParams, known: string[], isOperator: boolean,
 *   onTagged: (outcomes: Api.DeviceOutcome[]) => void, onRemoved: (things: string[]) => void, clear: () => void}} props
 *   `matching` headsets match the filters `conditions`; `known` are tags to suggest
 */
export function BulkActions({ rest, selected, matching, conditions, known, isOperator, onTagged, onRemoved, clear }) {
  const [error, setError] = useState("");
  const [toast, setToast] = useState(/** @type {{text: string, undo?: () => void} | null} */ (null));
  const [isRemoving, setRemoving] = useState(false);
  const attempt = async (/** @type {() => Promise<void>} */ action) => {
    try {
      setError("");
      await action();
    } catch (failure) {
      setError(failure.message);
    }
  };
  /** @typedef {{add?: string[], remove?: string[]}} Tags @type {(things: string[], change: Tags) => Promise<void>} */
  const tag = (things, change) => attempt(async () => {
    const { outcomes } = await rest.post("/api/device-tags", { things, ...change });
    onTagged(outcomes.filter(({ tags }) => tags));
    setError(problems(outcomes));
    const touched = outcomes.filter(({ changed }) => changed).map(({ thing }) => thing);
    const undo = () => tag(touched, { add: change.remove ?? [], remove: change.add ?? [] });
    setToast({ text: describe(change, touched.length), undo: touched.length ? undo : undefined });
  });
  const submit = (/** @type {Submit} */ event) => {
    event.preventDefault();
    const tags = [fieldsOf(event.target).tag];
    const isRemoval = event.submitter instanceof HTMLButtonElement && event.submitter.value === "remove";
    tag(selected, isRemoval ? { remove: tags } : { add: tags });
  };
  const remove = () => attempt(async () => {
    setRemoving(false);
    const { gone, text } = await removeAll(rest, selected);
    onRemoved(gone);
    setError(text);
    setToast({ text: `${headsets(gone.length)} removed.` });
  });
  const rolloutToAll = rolloutLink(conditions);
  return html`
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${selected.length > 0 && html`<section class="bulk" aria-label="Selected headsets">
      <b role="status">${headsets(selected.length)} selected</b>
      ${isOperator && html`<form onSubmit=${submit}><input name="tag" aria-label="Tag" placeholder="Tag" required pattern=${TAG} title=${TAG_RULE} maxlength="32"
          list="known-tags" autocapitalize="none" autocomplete="off" />
        <datalist id="known-tags">${known.map((each) => html`<option key=${each} value=${each} />`)}</datalist>
        <button name="action" value="add">Add tag</button><button name="action" value="remove">Remove tag</button></form>
      <a class="button" href=${link("rollouts", new URLSearchParams({ new: "1", things: selected.join(",") }))}>Roll out to these</a>
      ${rolloutToAll && matching && matching > selected.length && html`<a class="button" href=${rolloutToAll}>Roll out to all ${matching.toLocaleString()} that match</a>`}`}
      <button class="quiet danger" onClick=${() => setRemoving(true)}>Remove headsets</button>
      <button class="quiet" onClick=${clear}>Clear selection</button></section>`}
    ${isRemoving && html`<${ConfirmRemoval} count=${selected.length} confirm=${remove} close=${() => setRemoving(false)} />`}
    ${toast && html`<${Toast} ...${toast} close=${() => setToast(null)} />`}`;
}

/**
 * Return the link to a new rollout with the same conditions, or "" if the form could not show one of them: a rollout without it has more headsets.
 * @param {URLSearchParams} conditions
 */
function rolloutLink(conditions) {
  const fields = new URLSearchParams({ new: "1" });
  for (const [name, value] of conditions) {
    const field = ROLLOUT_FILTERS[name];
    const shown = NUMBERS.includes(name) ? String(Number(value)) : value;
    if (!field || shown === "NaN" || fields.has(field)) return "";
    fields.set(field, shown);
  }
  return link("rollouts", fields);
}

/**
 * Remove headsets, again those that did not fit into the time of a request.
 * @param {Rest} rest @param {string[]} things
 */
async function removeAll(rest, things) {
  /** @type {string[]} */
  const gone = [];
  for (let left = things, before = Infinity; left.length;) {
    const { outcomes } = await rest.post("/api/device-removals", { things: left });
    gone.push(...outcomes.filter(({ problem }) => !problem || problem.code === "unknown_device").map(({ thing }) => thing));
    const again = outcomes.filter(({ problem }) => problem && AGAIN.includes(problem.code)).map(({ thing }) => thing);
    if (!again.length || again.length >= before) return { gone, text: problems(outcomes.filter(({ problem }) => problem?.code !== "unknown_device")) };
    before = again.length;
    left = again;
  }
  return { gone, text: "" };
}

/** @param {number} count */
function headsets(count) {
  return `${count.toLocaleString()} ${count === 1 ? "headset" : "headsets"}`;
}

/** @param {{add?: string[], remove?: string[]}} change @param {number} count */
function describe({ add = [], remove = [] }, count) {
  if (!count) return "No headset was changed.";
  return add.length ? `Added “${add[0]}” to ${headsets(count)}.` : `Removed “${remove[0]}” from ${headsets(count)}.`;
}

/** Return the problems of a request as text; of many, the first. @param {Api.DeviceOutcome[]} outcomes */
function problems(outcomes) {
  const [first, ...others] = outcomes.flatMap(({ problem }) => problem ?? []);
  if (!first) return "";
  return `${headsets(others.length + 1)} not changed: ${first.detail}${others.length ? " …" : ""}`;
}

/** Removal is confirmed once for all headsets, by typing their number. @param {{count: number, confirm: () => void, close: () => void}} props */
function ConfirmRemoval({ count, confirm, close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [typed, setTyped] = useState("");
  useEffect(() => dialog.current?.showModal(), []);
  const submit = (/** @type {Submit} */ event) => {
    event.preventDefault();
    if (Number(typed) === count) confirm();
  };
  return html`<dialog ref=${dialog} aria-labelledby="removal" onCancel=${close}>
    <h2 id="removal">Remove ${headsets(count)}?</h2>
    <p>Their certificates are revoked, and everything that is stored about them is deleted. This cannot be undone.</p>
    <form onSubmit=${submit}><label>Type ${count} to confirm<input name="count" inputmode="numeric" autocomplete="off" value=${typed}
      onInput=${(/** @type {On<HTMLInputElement>} */ event) => setTyped(event.target.value.trim())} autofocus /></label>
      <div class="choices"><button type="button" class="primary" onClick=${close}>Keep them</button>
        <button class="danger" disabled=${Number(typed) !== count}>Remove ${headsets(count)}</button></div></form>
  </dialog>`;
}

/** What was done, until it is closed or something else is done. @param {{text: string, undo?: () => void, close: () => void}} props */
function Toast({ text, undo, close }) {
  return html`<div class="toast" role="status"><span>${text}</span>
    ${undo && html`<button onClick=${undo}>Undo</button>`}<button class="quiet" onClick=${close}>Close</button></div>`;
}
