/** A time range in the URL: the last hour to the last month, a part of it, and whether it is compared. */
import { html } from "../lib/html.js";
import { changed } from "../lib/view.js";

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const MONTH_S = 30 * DAY_S;
const RANGES = { "1h": ["1 h", HOUR_S], "24h": ["24 h", DAY_S], "7d": ["7 d", 7 * DAY_S], "30d": ["30 d", MONTH_S] };
const DEFAULT = "24h";
const MIN_STEP_S = 120; // headsets report about once a minute
const MAX_INTERVALS = 180;
const MIN_RANGE_S = 10 * MIN_STEP_S;

/**
 * @param {URLSearchParams} view  `range`, or `from` and `to` in seconds since the epoch; `compare`
 * @param {number} now  seconds since the epoch
 * @returns {{since: number, until: number, intervals: number, isCompared: boolean, canCompare: boolean}}
 */
export function rangeOf(view, now) {
  const [from, to] = [Number(view.get("from")), Number(view.get("to"))];
  const isZoomed = from > 0 && to > from;
  const length = isZoomed ? Math.max(to - from, MIN_RANGE_S) : (RANGES[view.get("range")] ?? RANGES[DEFAULT])[1];
  const intervals = Math.max(2, Math.min(MAX_INTERVALS, Math.round(length / MIN_STEP_S)));
  // The latest interval is complete when it ends, so that polls do not move the others.
  const step = length / intervals;
  const until = isZoomed ? from + length : Math.ceil(now / step) * step;
  const canCompare = until - 2 * length >= now - MONTH_S - step;
  return { since: until - length, until, intervals, canCompare, isCompared: canCompare && view.has("compare") };
}

/** Links to the ranges, and buttons for zoom and comparison; `zoom(from, to)` changes the range. */
export function RangePicker({ page, view, range, zoom }) {
  const isZoomed = view.has("from") && view.has("to");
  const current = isZoomed ? "" : view.get("range") ?? DEFAULT;
  const nothing = { from: "", to: "" };
  const zoomIn = () => {
    const quarter = (range.until - range.since) / 4;
    zoom(range.since + quarter, range.until - quarter);
  };
  const compare = () => { location.hash = changed(page, view, { compare: view.has("compare") ? "" : "1" }); };
  return html`<div class="ranges">
    <nav aria-label="Time range">${Object.entries(RANGES).map(([key, [name]]) => html`
      <a key=${key} href=${changed(page, view, { ...nothing, range: key })} aria-current=${key === current ? "true" : null}>${name}</a>`)}</nav>
    ${range && html`
      ${range.until - range.since >= 2 * MIN_RANGE_S && html`<button onClick=${zoomIn}>Zoom in</button>`}
      ${isZoomed && html`<a class="button" href=${changed(page, view, nothing)}>Reset zoom</a>`}
      ${range.canCompare && html`<button aria-pressed=${view.has("compare")} onClick=${compare}>Compare with the period before</button>`}`}
  </div>`;
}
