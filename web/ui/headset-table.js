/** The table of the fleet's headsets, whose rows can be selected with the mouse and the keyboard. */
import { html, useEffect, useRef } from "../lib/html.js";
import { changed } from "../lib/view.js";
import { when } from "./parts.js";
import { Online } from "../pages/headsets.js";

/** @param {{headsets: Api.FleetHeadset[], view: URLSearchParams, selected: Set<string>, select: (things: Set<string>) => void}} props */
export function HeadsetTable({ headsets, view, selected, select }) {
  const last = useRef(0); // the row that was selected last, where a range begins
  const set = (/** @type {Api.FleetHeadset[]} */ rows, /** @type {boolean} */ isSelected) => {
    const next = new Set(selected);
    for (const { thing } of rows) isSelected ? next.add(thing) : next.delete(thing);
    select(next);
  };
  const choose = (/** @type {number} */ row, /** @type {On<HTMLInputElement, MouseEvent>} */ event) => {
    const other = event.shiftKey ? last.current : row;
    last.current = row;
    set(headsets.slice(Math.min(row, other), Math.max(row, other) + 1), event.currentTarget.checked);
  };
  const move = (/** @type {KeyboardEvent & {currentTarget: HTMLElement}} */ event) => {
    if (event.key === "Escape") {
      select(new Set());
      return;
    }
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    /** @type {HTMLInputElement[]} */
    const boxes = [...event.currentTarget.querySelectorAll("tbody input")].filter((box) => box instanceof HTMLInputElement);
    const from = boxes.findIndex((box) => box === event.target);
    if (!step || (from < 0 && event.target !== event.currentTarget.querySelector("thead input"))) return;
    event.preventDefault();
    const row = from + step;
    boxes[row]?.focus();
    if (!event.shiftKey || !boxes[row]) return;
    last.current = row;
    set(headsets.filter((_, k) => k === row || k === row - step), true);
  };
  const sort = view.get("sort");
  /** @param {string} field @returns {Sorted} */
  const sorted = (field) => (sort === field ? "ascending" : sort === `-${field}` ? "descending" : "none");
  return html`<div class="table"><table class="headsets" onKeyDown=${move}>
      <thead><tr><th><${SelectAll} ...${{ headsets, selected, set }} /></th><th>Headset</th><th class="minor">Owner</th><th class="minor">Model</th><th>Firmware</th><th class="minor">Noise</th>
        <${Sortable} field="attenuation_db" name="Attenuation" view=${view} sorted=${sorted("attenuation_db")} />
        <th class="minor">Reverted</th><${Sortable} field="refused_at" name="Refused" view=${view} sorted=${sorted("refused_at")} first="-" />
        <th class="minor">Connection</th><th class="minor">Tags</th></tr></thead>
      <tbody>${headsets.map((headset, row) => html`<${Row} key=${headset.thing} ...${{ headset, view }} isSelected=${selected.has(headset.thing)}
        choose=${(/** @type {On<HTMLInputElement, MouseEvent>} */ event) => choose(row, event)} />`)}</tbody>
    </table></div>`;
}

/** @param {{headsets: Api.FleetHeadset[], selected: Set<string>, set: (rows: Api.FleetHeadset[], isSelected: boolean) => void}} props */
function SelectAll({ headsets, selected, set }) {
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const count = headsets.filter(({ thing }) => selected.has(thing)).length;
  useEffect(() => { if (box.current) box.current.indeterminate = count > 0 && count < headsets.length; });
  return html`<input ref=${box} type="checkbox" aria-label="Select all headsets of this page" checked=${count > 0 && count === headsets.length}
    onChange=${(/** @type {On<HTMLInputElement>} */ event) => set(headsets, event.target.checked)} />`;
}

/**
 * A column header that sorts; `first` is the prefix of its first order.
 * @typedef {"ascending" | "descending" | "none"} Sorted
 * @param {{field: string, name: string, view: URLSearchParams, sorted: Sorted, first?: string}} props
 */
function Sortable({ field, name, view, sorted, first = "" }) {
  const other = first ? "" : "-";
  const sort = view.get("sort") === first + field ? other + field : first + field;
  return html`<th aria-sort=${sorted}><a href=${changed("fleet", view, { sort })}>${name}${{ ascending: " ↑", descending: " ↓", none: "" }[sorted]}</a></th>`;
}

/** @param {{headset: Api.FleetHeadset, view: URLSearchParams, isSelected: boolean, choose: (event: On<HTMLInputElement, MouseEvent>) => void}} props */
function Row({ headset, view, isSelected, choose }) {
  const { thing, name, tags, owner, model, firmware, noise, attenuation_db, reverted, refused, refused_at, online } = headset;
  return html`<tr class=${isSelected ? "selected" : ""}>
    <td><input type="checkbox" aria-label=${`Select ${thing}`} checked=${isSelected} onClick=${choose} /></td>
    <td><a class="thing-name" href=${`#/headsets/${thing}`}>${name || thing}</a>${name && html`<small class="thing">${thing}</small>`}</td><td class="minor owner">${owner}</td><td class="minor">${model}</td>
    <td>${firmware ?? "–"}</td><td class="minor">${noise?.replaceAll("_", " ") ?? "–"}</td>
    <td>${attenuation_db == null ? "–" : `${attenuation_db.toFixed(1)} dB`}</td><td class="minor">${reverted ?? "–"}</td>
    <td>${refused ? html`${refused}<small class="at">${when(refused_at)}</small>` : "–"}</td><td class="minor"><${Online} online=${online} /></td>
    <td class="minor"><${Tags} tags=${tags} link=${(/** @type {string} */ tag) => changed("fleet", view, { tag })} /></td></tr>`;
}

/** @param {{tags: string[], link: (tag: string) => string}} props  where a tag leads */
export function Tags({ tags, link }) {
  return html`<span class="tags">${tags.map((tag) => html`<a key=${tag} class="tag" href=${link(tag)}>${tag}</a>`)}</span>`;
}
