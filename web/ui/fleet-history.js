/** The attenuation of the whole fleet from day to day, by model, firmware or noise. */
import { html, useState } from "../lib/html.js";
import { Chart } from "./chart.js";
import { Alert, Choice, useRequest } from "./parts.js";

const POLL_MS = 600_000;
const DAY_S = 86_400;
/** @type {Options} */
const GROUPS = [["", "All"], ["model", "Model"], ["firmware", "Firmware"], ["noise", "Noise"]];
/** @type {Options} */
const PERIODS = [["30", "30 days"], ["90", "90 days"], ["365", "1 year"]];
const FIELDS = /** @type {const} */ (["p10_db", "p90_db", "median_db"]);
const BAND = [
  { label: "10th percentile", colour: "after", edge: true }, { label: "90th percentile", colour: "after", edge: true },
  { label: "median", colour: "after" },
];

/** @param {{rest: Rest}} props */
export function FleetHistory({ rest }) {
  const [by, setBy] = useState("");
  const [days, setDays] = useState("90");
  const { data, error } = useRequest(() => rest.get(`/api/fleet/history?by=${by || "model"}&days=${days}`), [by, days], POLL_MS);
  return html`<section class="card" aria-labelledby="history"><div class="heading"><h2 id="history">Attenuation over time</h2>
      <div class="actions"><${Choice} name="By" value=${by} options=${GROUPS} onChange=${setBy} />
        <${Choice} name="Period" value=${days} options=${PERIODS} onChange=${setDays} /></div></div>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${data && html`<${Charts} days=${data.days} period=${Number(days)} isGrouped=${by !== ""} />`}
  </section>`;
}

/** @param {{days: Api.FleetDay[], period: number, isGrouped: boolean}} props */
function Charts({ days, period, isGrouped }) {
  if (!days.length) return html`<p class="hint">The first minute of each day (UTC) records the fleet. Nothing is recorded yet.</p>`;
  const until = Date.now() / 1000;
  const named = isGrouped ? days.toReversed().flatMap(({ groups }) => groups.map(({ value }) => value)) : [];
  const names = [...new Set(named)].slice(0, 8); // those of today first
  const chart = { x: "time", height: 130, range: [0, 30], span: [Math.max(until - period * DAY_S, (days[0]?.at ?? until) - DAY_S), until], lines: BAND };
  /** @type {[string, (Api.AttenuationDistribution | undefined)[]][]} */
  const series = [
    ["All headsets", days.map(({ attenuation }) => attenuation)],
    ...names.map((name) => /** @type {[string, (Api.AttenuationDistribution | undefined)[]]} */ (
      [name.replaceAll("_", " "), days.map(({ groups }) => groups.find(({ value }) => value === name)?.attenuation)])),
  ];
  return html`<div class="history multiples">${series.map(([title, values]) => html`<${Chart} key=${title} ...${chart} title=${title}
      data=${[days.map(({ at }) => at), ...FIELDS.map((field) => values.map((each) => each?.[field] ?? null))]} />`)}
    <p class="hint">The whole fleet at the beginning of each day: the line is the median, the area is from the 10th to the 90th percentile of the headsets. Arrow keys read the values.</p></div>`;
}
