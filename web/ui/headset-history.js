/** The history of a headset: attenuation, level and battery in a time range, also compared with the period before. */
import { html, useMemo } from "../lib/html.js";
import { changed } from "../lib/view.js";
import { Chart } from "./chart.js";
import { Alert, useRequest } from "./parts.js";
import { columnsOf, RangePicker, rangeOf } from "./time-range.js";

const POLL_MS = 30_000;
const MAX_EVENTS = 100;

/** @param {Pick<PageProps, "rest" | "id" | "query">} props */
export function HeadsetHistory({ rest, id, query }) {
  const view = new URLSearchParams(query);
  const page = `headsets/${encodeURIComponent(id)}`;
  const { from, to } = Object.fromEntries(view);
  const load = async () => {
    const range = rangeOf(view, Date.now() / 1000);
    const { since, until, intervals } = range;
    const trend = (/** @type {number} */ begin, /** @type {number} */ end) => rest.get(`/api/devices/${encodeURIComponent(id)}/trend?since=${begin}&until=${end}&intervals=${intervals}`);
    const [now, before, emergencies] = await Promise.all([
      trend(since, until), range.isCompared ? trend(since - (until - since), since) : null, rest.get(`/api/emergency/events?source=${encodeURIComponent(id)}&since=${since}&until=${until}&limit=${MAX_EVENTS}`),
    ]);
    return { range, now, before, marks: emergencies.events.map(({ at, kind }) => ({ at, label: kind })) };
  };
  const { data, error } = useRequest(load, [id, query], from && to ? 0 : POLL_MS);
  const zoom = (/** @type {number} */ begin, /** @type {number} */ end) => { location.hash = changed(page, view, { from: Math.floor(begin), to: Math.ceil(end) }); };
  return html`<section class="card wide" aria-labelledby="history">
    <div class="heading"><h2 id="history">History</h2><${RangePicker} ...${{ page, view, zoom }} range=${data?.range} /></div>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${data && html`<${Charts} ...${data} zoom=${zoom} />`}
  </section>`;
}

/**
 * @param {{range: import("./time-range.js").Range, now: Api.TelemetryTrend, before: Api.TelemetryTrend | null,
 *   marks: import("./chart.js").Mark[], zoom: (from: number, to: number) => void}} props
 */
function Charts({ range, now, before, marks, zoom }) {
  const { places, of } = useMemo(() => columnsOf(range), [now, before]);
  if (!now.intervals.length) return html`<p class="hint">The headset reported nothing in this time. Reports are kept for 30 days.</p>`;
  const chart = { x: "time", span: [range.since, range.until], marks, onZoom: zoom };
  const compared = (/** @type {string} */ label) => (before ? [{ label, colour: "before", dashed: true }] : []);
  /** @typedef {Exclude<keyof Api.TrendInterval, "noise">} Field */
  const current = (/** @type {Field} */ field) => of(now, (interval) => interval[field]);
  const earlier = (/** @type {Field} */ field) => (before ? [of(before, (interval) => interval[field])] : []);
  const percent = (/** @type {(number | null)[]} */ values) => values.map((value) => (value == null ? null : Math.round(100 * value)));
  return html`<div class="history">
    ${now.complete_since > now.since && html`<${Alert}>The headset sent more than can be shown at once. Values begin at ${new Date(1000 * now.complete_since).toLocaleString()}; choose a shorter range.<//>`}
    <${Chart} ...${chart} title="Attenuation, median" height=${220} range=${[0, 30]}
      lines=${[{ label: "10th percentile", colour: "after", edge: true }, { label: "90th percentile", colour: "after", edge: true }, { label: "median", colour: "after" }, ...compared("previous")]}
      data=${[places, current("attenuation_p10_db"), current("attenuation_p90_db"), current("attenuation_median_db"), ...earlier("attenuation_median_db")]} />
    <${Chart} ...${chart} title="Level at the ear, median" y="dBFS" lines=${[{ label: "level", colour: "after" }, ...compared("previous")]}
      data=${[places, current("level_median_dbfs"), ...earlier("level_median_dbfs")]} />
    <${Chart} ...${chart} title="Battery" y="%" range=${[0, 100]} lines=${[{ label: "battery", colour: "after" }, ...compared("previous")]}
      data=${[places, percent(current("battery")), ...earlier("battery").map(percent)]} />
    <p class="hint">The area is from the 10th to the 90th percentile of all reports. Drag over a chart to zoom; arrow keys read its values.${marks.length > 0 && ` Red lines: ${marks.length === MAX_EVENTS ? `the latest ${MAX_EVENTS}` : marks.length} emergencies.`}</p>
  </div>`;
}
