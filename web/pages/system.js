/** System: health, throughput, latency and cost of the platform. */
import { html } from "../lib/html.js";
import { PerformanceHistory } from "../ui/performance-history.js";
import { Alert, Figure, Heading, useRequest } from "../ui/parts.js";

const POLL_MS = 2000;
/** @type {Record<"block" | "snapshot" | "rest", string>} */
const OPERATIONS = { block: "Live block", snapshot: "Snapshot", rest: "REST call" };

const OPERATION_KEYS = /** @type {(keyof typeof OPERATIONS)[]} */ (Object.keys(OPERATIONS));

/** @param {PageProps} props */
export function System({ rest, me, query }) {
  const health = useRequest(() => rest.get("/health"), [], POLL_MS);
  const admin = me?.role === "admin";
  const stats = useRequest(async () => {
    if (!admin) return null;
    const [summary, performance, models] = await Promise.all([rest.get("/api/stats/summary"), rest.get("/api/stats/performance"), rest.get("/api/models")]);
    return { totals: summary.totals, performance, models: models.models };
  }, [admin], POLL_MS);
  const costs = useRequest(async () => (await fetch("costs.json")).json(), []);
  const state = health.data;
  return html`
    <${Heading} title="System" text="Health, and for admins throughput and latency.">
      ${state && html`<span class=${`tag ${state.status === "ok" ? "good" : "bad"}`}>${state.status}</span>`}
      <a class="button" href=${`${rest.base}/docs`}>API</a><//>
    ${(health.error || stats.error) && html`<${Alert} kind="error">${health.error || stats.error}<//>`}
    ${me && !admin && html`<${Alert}>Only admins see throughput and latency; you are signed in as ${me.role}.<//>`}
    <div class="columns">
      ${state && html`<section class="card"><h2>Health</h2><dl class="figures">
        ${Object.entries(state.checks).map(([name, check]) => html`<${Figure} key=${name} name=${name} value=${check} />`)}
        <${Figure} name="ready" value=${state.ready ? "yes" : "no"} /></dl></section>`}
      ${stats.data && html`<${Models} models=${stats.data.models} />
        <${PerformanceHistory} ...${{ rest, query }} />
        <${Latencies} performance=${stats.data.performance} />
        <${Totals} totals=${stats.data.totals} />`}
      ${costs.data && html`<${Costs} costs=${costs.data} />`}
    </div>`;
}

/** @param {{models: Api.Model[]}} props */
function Models({ models }) {
  return html`<section class="card"><h2>Models</h2>${models.map((model) => html`<div key=${model.sha256}>
    <p><strong>${model.name}</strong> <code>${model.sha256.slice(0, 12)}</code></p>
    <p class="hint">${model.labels.join(", ")}; emergencies: ${model.kinds.join(", ")}</p></div>`)}</section>`;
}

/** @param {{performance: Api.Performance}} props */
function Latencies({ performance }) {
  const ms = (/** @type {number | null} */ value) => (value == null ? "over 10 s" : `${Number(value.toPrecision(3))} ms`);
  return html`<section class="card wide table"><h2>Latency</h2><table>
    <thead><tr><th>Operation</th><th class="minor">Count</th><th class="minor">Mean</th><th>Median</th><th>p90</th><th>p99</th></tr></thead>
    <tbody>${OPERATION_KEYS.map((key) => {
      const name = OPERATIONS[key];
      const { count, mean_ms: mean, p50_ms: p50, p90_ms: p90, p99_ms: p99 } = performance[key];
      return html`<tr key=${key}><td>${name}</td><td class="minor">${count.toLocaleString()}</td>
        ${[mean, p50, p90, p99].map((value, i) => html`<td key=${i} class=${i ? "" : "minor"}>${count ? ms(value) : "–"}</td>`)}</tr>`;
    })}</tbody></table><p class="hint">Since the start of the platform. Percentiles are the upper bounds of histogram buckets.</p></section>`;
}

/** @type {Record<string, string>} */
const DESIGNS = {
  snapshots: "This platform: snapshots and control filters",
  "200-ms blocks": "Streaming blocks of 200 ms",
  "every block": "Streaming blocks of 1024 samples",
};

/** The estimate of `anc cost`. The bars are logarithmic, because totals differ by a factor of hundreds. @param {{costs: any}} props  `costs.json` */
function Costs({ costs: { use, snapshots_per_hour: sent, region, noted, dollars } }) {
  const sum = (/** @type {Record<string, number>} */ parts) => Object.values(parts).reduce((all, part) => all + part, 0);
  const totals = Object.keys(DESIGNS).map((key) => ({ key, total: sum(dollars[key]) }));
  const max = Math.max(...totals.map(({ total }) => Math.log10(total)));
  return html`<section class="card wide"><h2>Estimated monthly cost on AWS</h2>
    <ul class="costs">${totals.map(({ key, total }) => html`<li key=${key} class=${key === "snapshots" ? "after" : "before"}>
      <span>${DESIGNS[key]}</span><b data-figure=${`cost-${key.replaceAll(" ", "-")}`}>$ ${Math.round(total).toLocaleString("en")}</b>
      <i style=${{ transform: `scaleX(${(Math.log10(total) / max).toFixed(3)})` }}></i></li>`)}</ul>
    <p class="hint">${use.headsets.toLocaleString("en")} headsets used ${use.hours_a_day} hours a day, ${sent} snapshots per hour each;
      list prices of ${noted} in ${region}; logarithmic scale. Run <code>anc cost</code> for another fleet.</p></section>`;
}

/** @param {{totals: Record<string, number>}} props */
function Totals({ totals }) {
  return html`<section class="card wide"><h2>Totals</h2><dl class="figures">${Object.entries(totals).sort().map(([name, total]) => html`
    <${Figure} key=${name} name=${name.replaceAll("_", " ")} value=${total.toLocaleString()} />`)}</dl></section>`;
}
