/** System: does it live, how much does it do, how long does that take. */
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { Chart } from "../ui/chart.js";
import { Alert, Figure, Heading, useAnswer } from "../ui/parts.js";

const EVERY_MS = 2000;
const KEPT = 300;
const WORK = { block: "A live block", snapshot: "A headset's snapshot", rest: "A REST call" };

export function System({ rest, me }) {
  const health = useAnswer(() => rest.get("/health"), [], EVERY_MS);
  const admin = me?.role === "admin";
  const stats = useAnswer(async () => {
    if (!admin) return null;
    const [summary, performance, models] = await Promise.all(
      ["/api/stats/summary", "/api/stats/performance", "/api/models"].map((path) => rest.get(path)));
    return { totals: summary.totals, performance, models: models.models, at: Date.now() / 1000 };
  }, [admin], EVERY_MS);
  const flow = useFlow(stats.answer);
  const costs = useAnswer(async () => (await fetch("costs.json")).json(), []);
  const state = health.answer;
  return html`
    <${Heading} title="System" words="Health for everybody; figures for admins." >
      ${state && html`<span class=${`tag ${state.status === "ok" ? "good" : "bad"}`}>${state.status}</span>`}
      <a class="button" href=${`${rest.base}/docs`}>API</a><a class="button" href=${`${rest.base}/metrics`}>Metrics</a><//>
    ${(health.fault || stats.fault) && html`<${Alert} kind="fault">${health.fault || stats.fault}<//>`}
    ${me && !admin && html`<${Alert}>Throughput and latency are shown to admins; you are signed in as ${me.role}.<//>`}
    <div class="one">
      ${state && html`<section class="card"><h2>Health</h2><dl class="figures">
        ${Object.entries(state.checks).map(([name, check]) => html`<${Figure} key=${name} name=${name} value=${check} />`)}
        <${Figure} name="ready" value=${state.ready ? "yes" : "no"} /></dl></section>`}
      ${stats.answer && html`<${Models} models=${stats.answer.models} />
        <section class="card"><${Chart} title="Live blocks a second" y="" range=${[0, 12]} seconds=${60} data=${[flow.seconds, flow.blocks]} lines=${[{ label: "blocks", colour: "after", fill: true }]} /></section>
        <section class="card"><${Chart} title="REST calls a second" y="" range=${[0, 5]} seconds=${60} data=${[flow.seconds, flow.calls]} lines=${[{ label: "calls", colour: "after", fill: true }]} /></section>
        <${Latencies} performance=${stats.answer.performance} />
        <${Totals} totals=${stats.answer.totals} />`}
      ${costs.answer && html`<${Costs} costs=${costs.answer} />`}
    </div>`;
}

/** Events a second, from totals that only grow. */
function useFlow(answer) {
  const last = useRef(null);
  const [flow, setFlow] = useState({ seconds: [], blocks: [], calls: [] });
  useEffect(() => {
    if (!answer) return;
    const now = { at: answer.at, blocks: answer.totals.blocks_filtered ?? 0, calls: answer.performance.rest.count };
    const before = last.current;
    last.current = now;
    if (!before) return;
    const per = (name) => Math.max(0, (now[name] - before[name]) / (now.at - before.at));
    setFlow((f) => ({
      seconds: [...f.seconds, (f.seconds.at(-1) ?? 0) + now.at - before.at].slice(-KEPT),
      blocks: [...f.blocks, per("blocks")].slice(-KEPT), calls: [...f.calls, per("calls")].slice(-KEPT),
    }));
  }, [answer]);
  return flow;
}

function Models({ models }) {
  return html`<section class="card"><h2>Hearing</h2>${models.map((model) => html`<div key=${model.sha256}>
    <p><strong>${model.name}</strong> <code>${model.sha256.slice(0, 12)}</code></p>
    <p class="hint">${model.labels.join(", ")}; alarms: ${model.kinds.join(", ")}</p></div>`)}</section>`;
}

function Latencies({ performance }) {
  const ms = (value) => (value == null ? "over 10 s" : `${Number(value.toPrecision(3))} ms`);
  return html`<section class="card wide table"><h2>How long it takes</h2><table>
    <thead><tr><th>What</th><th class="minor">Times</th><th class="minor">Mean</th><th>Half</th><th>9 of 10</th><th>99 of 100</th></tr></thead>
    <tbody>${Object.entries(WORK).map(([key, name]) => {
      const { count, mean_ms: mean, p50_ms: p50, p90_ms: p90, p99_ms: p99 } = performance[key];
      return html`<tr key=${key}><td>${name}</td><td class="minor">${count.toLocaleString()}</td>
        ${[mean, p50, p90, p99].map((value, i) => html`<td key=${i} class=${i ? "" : "minor"}>${count ? ms(value) : "–"}</td>`)}</tr>`;
    })}</tbody></table><p class="hint">Since the beginning: within so much, as the histogram's buckets tell it.</p></section>`;
}

const DESIGNS = {
  snapshots: "This platform: the headset cancels, the cloud thinks",
  "200-ms blocks": "Streaming everything in blocks of 200 ms",
  "every block": "Streaming every block of 1024 samples",
};

/** What `anc cost` reckons, drawn; one bar is a hundred times the other, so the lengths are of logarithms. */
function Costs({ costs: { use, region, noted, dollars } }) {
  const totals = Object.keys(DESIGNS).map((key) => [key, Object.values(dollars[key]).reduce((sum, part) => sum + part, 0)]);
  const most = Math.max(...totals.map(([, total]) => Math.log10(total)));
  return html`<section class="card wide"><h2>What a month on AWS costs</h2>
    <ul class="costs">${totals.map(([key, total]) => html`<li key=${key} class=${key === "snapshots" ? "after" : "before"}>
      <span>${DESIGNS[key]}</span><b data-figure=${`cost-${key.replaceAll(" ", "-")}`}>$ ${Math.round(total).toLocaleString("en")}</b>
      <i style=${{ transform: `scaleX(${(Math.log10(total) / most).toFixed(3)})` }}></i></li>`)}</ul>
    <p class="hint">${use.headsets.toLocaleString("en")} headsets worn ${use.hours_a_day} hours a day, ${use.snapshots_per_hour} snapshots an hour each;
      list prices of ${noted} in ${region}; the bars grow with the logarithm. <code>anc cost</code> reckons it for another fleet.</p></section>`;
}

function Totals({ totals }) {
  return html`<section class="card wide"><h2>So far</h2><dl class="figures">${Object.entries(totals).sort().map(([name, total]) => html`
    <${Figure} key=${name} name=${name.replaceAll("_", " ")} value=${total.toLocaleString()} />`)}</dl></section>`;
}
