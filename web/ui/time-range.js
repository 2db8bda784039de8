/** A time range in the URL: the last hour to the last month, a part of it, and whether it is compared. */
import { html } from "../lib/html.js";
import { changed } from "../lib/view.js";

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const MONTH_S = 30 * DAY_S;
/** @type {Record<string, [string, number]>} */
const RANGES = { "1h": ["1 h", HOUR_S], "24h": ["24 h", DAY_S], "7d": ["7 d", 7 * DAY_S], "30d": ["30 d", MONTH_S] };
const DEFAULT = "24h";
const STEPS_S = [120, 300, 600, 1800, HOUR_S, 2 * HOUR_S, 4 * HOUR_S]; // headsets report about once a minute
const MAX_INTERVALS = 180;
const MIN_RANGE_S = 10 * STEPS_S[0];

/**
 * @typedef {{since: number, until: number, intervals: number, isCompared: boolean, canCompare: boolean}} Range
 * @param {URLSearchParams} view  `range`, or `from` and `to` in seconds since the epoch; `compare`
 * @param {number} now  seconds since the epoch
 * @param {number} [minutesFor]  for how many seconds values are known to the minute; before, to the hour
 * @returns {Range}
 */
export function rangeOf(view, now, minutesFor = Infinity) {
  const [from, to] = [Number(view.get("from")), Number(view.get("to"))];
  const isZoomed = from > 0 && to > from;
  const length = isZoomed ? Math.max(to - from, MIN_RANGE_S) : (RANGES[view.get("range") ?? ""] ?? RANGES[DEFAULT])[1];
  const isOld = (isZoomed ? from : now - length) < now - minutesFor;
  const step = STEPS_S.find((each) => length / each <= MAX_INTERVALS && (!isOld || each >= HOUR_S)) ?? STEPS_S[STEPS_S.length - 1];
  const intervals = Math.max(2, Math.ceil(length / step));
  // Intervals begin at whole steps, so that polls do not move them.
  const until = Math.ceil((isZoomed ? to : now) / step) * step;
  const since = until - intervals * step;
  const canCompare = since - intervals * step >= now - MONTH_S - step;
  return { since, until, intervals, canCompare, isCompared: canCompare && view.has("compare") };
}

/**
 * Return the middle of each interval of a range, and a function that lists a value of each, null where there is none.
 * @param {Pick<Range, "since" | "until" | "intervals">} range
 */
export function columnsOf({ since, until, intervals }) {
  const step = (until - since) / intervals;
  const places = Array.from({ length: intervals }, (_, k) => since + (k + 0.5) * step);
  /**
   * @template {{at: number}} I
   * @param {{since: number, step_s: number, intervals: I[]} | null} series
   * @param {(interval: I) => number | null | undefined} value
   */
  const of = (series, value) => {
    const values = places.map(() => /** @type {number | null} */ (null));
    if (!series) return values;
    for (const interval of series.intervals) {
      const at = Math.round((interval.at - series.since) / step); // a series of old times has longer steps
      if (at < values.length) values[at] = value(interval) ?? null;
    }
    return values;
  };
  return { places, of };
}

/** Links to the ranges, and buttons for zoom and comparison; `zoom(from, to)` changes the range. @param {{page: string, view: URLSearchParams, range?: Range, zoom: (from: number, to: number) => void}} props */
export function RangePicker({ page, view, range, zoom }) {
  const isZoomed = view.has("from") && view.has("to");
  const current = isZoomed ? "" : view.get("range") ?? DEFAULT;
  const nothing = { from: "", to: "" };
  const zoomIn = () => {
    if (!range) return;
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
