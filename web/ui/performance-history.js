/** Calls and latencies of the platform over time, also compared with the period before. */
import { html, useMemo } from "../lib/html.js";
import { Chart } from "./chart.js";
import { Alert, useRequest } from "./parts.js";
import { columnsOf, RangePicker, rangeOf } from "./time-range.js";
import { changed } from "../lib/view.js";

const POLL_MS = 30_000;
const MINUTES_FOR_S = 2 * 86_400; // older times are known to the hour
const OPERATIONS = { block: "Live blocks", snapshot: "Snapshots", rest: "REST calls" };

/** @param {Pick<PageProps, "rest" | "query">} props */
export function PerformanceHistory({ rest, query }) {
  const view = new URLSearchParams(query);
  const isZoomed = view.has("from") && view.has("to");
  const load = async () => {
    const range = rangeOf(view, Date.now() / 1000, MINUTES_FOR_S);
    const { since, until, intervals } = range;
    const get = async (/** @type {number} */ begin, /** @type {number} */ end) => (await rest.get(`/api/stats/performance?since=${begin}&until=${end}&intervals=${intervals}`)).history;
    const [now, before] = await Promise.all([get(since, until), range.isCompared ? get(since - (until - since), since) : null]);
    return { range, now, before };
  };
  const { data, error } = useRequest(load, [query], isZoomed ? 0 : POLL_MS);
  const zoom = (/** @type {number} */ begin, /** @type {number} */ end) => { location.hash = changed("system", view, { from: Math.floor(begin), to: Math.ceil(end) }); };
  return html`<section class="card wide" aria-labelledby="history">
    <div class="heading"><h2 id="history">History</h2><${RangePicker} page="system" ...${{ view, zoom }} range=${data?.range} /></div>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${data?.now && html`<${Charts} ...${data} zoom=${zoom} />`}
  </section>`;
}

/**
 * @param {{range: import("./time-range.js").Range, now: Api.PerformanceHistory, before: Api.PerformanceHistory | null,
 *   zoom: (from: number, to: number) => void}} props
 */
function Charts({ range, now, before, zoom }) {
  const { places, of } = useMemo(() => columnsOf(range), [now, before]);
  const chart = { x: "time", span: [range.since, range.until], onZoom: zoom };
  const compared = before ? [{ label: "previous", colour: "before", dashed: true }] : [];
  const shown = Object.entries(OPERATIONS).filter(([key]) => now.intervals.some(({ operations }) => operations[key]));
  if (!shown.length) return html`<p class="hint">Nothing was processed in this time.</p>`;
  return html`<div class="history pairs">${shown.map(([key, name]) => {
    /** @typedef {Api.PerformanceHistory} Series */
    const rate = (/** @type {Series} */ series) => of(series, ({ operations }) => operations[key] && operations[key].calls / series.step_s);
    const latency = (/** @type {Series} */ series, /** @type {"p50_ms" | "p99_ms"} */ field) => of(series, ({ operations }) => operations[key]?.[field]);
    const earlier = (/** @type {(series: Series) => (number | null)[]} */ values) => (before ? [values(before)] : []);
    return html`
      <${Chart} key=${key} ...${chart} title=${`${name} per second`} y="" range=${[0, 0.1]} lines=${[{ label: "now", colour: "after", fill: true }, ...compared]}
        data=${[places, rate(now), ...earlier(rate)]} />
      <${Chart} key=${`${key}-ms`} ...${chart} title=${`${name}: latency`} y="ms" range=${[0, 5]}
        lines=${[{ label: "p99", colour: "after" }, { label: "median", colour: "soft" }, ...compared.map((line) => ({ ...line, label: "previous p99" }))]}
        data=${[places, latency(now, "p99_ms"), latency(now, "p50_ms"), ...earlier((series) => latency(series, "p99_ms"))]} />`;
  })}
    <p class="hint">Times on the server, percentiles within 2 %, on AWS those of CloudWatch. Drag over a chart to zoom; arrow keys read its values. More than two days ago, one value stands for an hour.</p></div>`;
}
