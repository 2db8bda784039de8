/** Emergencies: each can be acknowledged and commented, and links to the headset at that moment. */
import { html, useState } from "../lib/html.js";
import { Alert, percent, when } from "./parts.js";

export const SESSION = /^[\w-]{24}$/; // the id of a live session
const MAX_COMMENT = 500;

/** @param {{events: Api.EmergencyEvent[], names?: Map<string, string>, rest: Rest, onChanged: () => void, showOwner?: boolean}} props  `names` of headsets by thing; without it, sources are not shown */
export function EmergencyList({ events, names, rest, onChanged, showOwner = false }) {
  return html`<ol class="emergencies">${events.map((event) => html`
    <${Item} key=${event.id} event=${event} names=${names} rest=${rest} onChanged=${onChanged} showOwner=${showOwner} />`)}</ol>`;
}

/** @param {{event: Api.EmergencyEvent, names?: Map<string, string>, rest: Rest, onChanged: () => void, showOwner: boolean}} props */
function Item({ event, names, rest, onChanged, showOwner }) {
  const [isEditing, setEditing] = useState(false);
  const [error, setError] = useState("");
  const change = async (/** @type {Api.EmergencyChange} */ changes) => {
    try {
      await rest.patch(`/api/emergency/events/${event.id}`, changes);
      setError("");
      setEditing(false);
      onChanged();
    } catch (failure) {
      setError(failure.message);
    }
  };
  const what = `the ${event.kind} of ${fullTime(event.at)}`;
  return html`<li>
    <div class="what"><b class="tag bad">${event.kind}</b>
      ${names && html`<${Source} ...${{ event, names }} />`}
      <time datetime=${new Date(1000 * event.at).toISOString()} title=${fullTime(event.at)}>${when(event.at)}</time>
      ${showOwner && html`<a class="of-owner" href=${`#/emergencies?owner=${encodeURIComponent(event.owner)}`}>${event.owner_name}</a>`}
      <small>confidence ${percent(event.score)}</small></div>
    <div class="state">
      ${event.acknowledged
        ? html`<span class="tag good">acknowledged</span><small>${event.acknowledged_by}, ${when(event.acknowledged_at)}</small>
          <button class="quiet" aria-label=${`Undo the acknowledgement of ${what}`} onClick=${() => change({ acknowledged: false })}>Undo</button>`
        : html`<button aria-label=${`Acknowledge ${what}`} onClick=${() => change({ acknowledged: true })}>Acknowledge</button>`}
      ${!isEditing && html`<button class="quiet" aria-label=${`${event.comment ? "Edit the comment" : "Comment"} on ${what}`}
        onClick=${() => setEditing(true)}>${event.comment ? "Edit comment" : "Comment"}</button>`}
    </div>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${isEditing
      ? html`<${Comment} text=${event.comment} save=${(/** @type {string} */ comment) => change({ comment })} cancel=${() => setEditing(false)} />`
      : event.comment && html`<div class="comment"><p>${event.comment}</p><small>${event.commented_by}, ${when(event.commented_at)}</small></div>`}
  </li>`;
}

/** @param {{text: string, save: (text: string) => void, cancel: () => void}} props */
function Comment({ text, save, cancel }) {
  const [shown, setShown] = useState(text); // the list is loaded again while a person types
  const submit = (/** @type {Submit} */ event) => {
    event.preventDefault();
    save(shown);
  };
  return html`<form class="comment" onSubmit=${submit}>
    <label>Comment<textarea name="comment" rows="3" maxlength=${MAX_COMMENT} value=${shown} onInput=${(event) => setShown(event.target.value)}></textarea></label>
    <div class="actions"><button class="primary">Save comment</button><button type="button" onClick=${cancel}>Cancel</button>
      <small>${[...shown].length} of ${MAX_COMMENT} characters</small></div>
  </form>`;
}

/** @param {{event: Pick<Api.EmergencyEvent, "source" | "at">, names: Map<string, string>}} props */
export function Source({ event: { source, at }, names }) {
  if (names.has(source)) return html`<a href=${momentLink(source, at)}>${names.get(source)}</a>`;
  if (!SESSION.test(source)) return html`<span>${source} (removed)</span>`;
  return html`<span title=${source}>live session <code>${source.slice(0, 8)}</code></span>`;
}

/** Return the link to a headset's page at a moment, in seconds since the epoch. @param {string} thing @param {number} at */
function momentLink(thing, at) {
  return `#/headsets/${encodeURIComponent(thing)}?at=${at}`;
}

/** @param {number} seconds  since the epoch */
export function fullTime(seconds) {
  return new Date(1000 * seconds).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
}
