/** The emergencies of one headset: the latest, or those around a moment with its attenuation then. */
import { html } from "../lib/html.js";
import { Chart } from "./chart.js";
import { EmergencyList, fullTime } from "./emergency-list.js";
import { Alert, useRequest } from "./parts.js";

const POLL_MS = 10_000;
const SHOWN = 5;
const AROUND_S = 1800;

/** @param {{rest: Rest, id: string, at: number | null}} props  `at` in seconds since the epoch; null: the latest */
export function HeadsetEmergencies({ rest, id, at }) {
  const source = encodeURIComponent(id);
  const range = at ? `&since=${at - AROUND_S}&until=${at + AROUND_S}&limit=100` : `&limit=${SHOWN}`;
  const { data, error, reload } = useRequest(() => rest.get(`/api/emergency/events?source=${source}&sort=-at${range}`), [id, at], POLL_MS);
  if (!at && !data?.events.length) return null;
  return html`<section class="card wide moment" aria-labelledby="emergencies">
    <div class="heading"><h2 id="emergencies">${at ? `Half an hour before and after ${fullTime(at)}` : "Latest emergencies"}</h2>
      <div class="actions">${at && html`<a class="button" href=${`#/headsets/${source}`}>Now</a>`}
        <a class="button" href=${`#/emergencies?source=${source}`}>All emergencies of this headset</a></div></div>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${at && html`<${Moment} ...${{ rest, source, at }} />`}
    ${data && (data.events.length
      ? html`<${EmergencyList} events=${data.events} rest=${rest} onChanged=${reload} />`
      : html`<p class="hint">No emergency in this hour.</p>`)}
  </section>`;
}

/** @param {{rest: Rest, source: string, at: number}} props  `source` is encoded for URLs */
function Moment({ rest, source, at }) {
  const { data, error } = useRequest(() => rest.get(`/api/devices/${source}/history?limit=100&since=${at - AROUND_S}`), [source, at]);
  if (error) return html`<${Alert} kind="error">${error}<//>`;
  if (!data) return null;
  const points = data.reports.flatMap(({ at: reported, attenuation_db: db }) => (reported != null && db != null && reported < at + AROUND_S ? [[reported - at, db]] : []))
    .sort((a, b) => a[0] - b[0]);
  if (!points.length) return html`<p class="hint">The headset reported no attenuation in this hour.</p>`;
  return html`<${Chart} title="Attenuation, in minutes from that moment" x="min" span=${[-AROUND_S / 60, AROUND_S / 60]} range=${[-5, 45]} lines=${[{ label: "attenuation", colour: "after", fill: true }]}
    data=${[points.map(([seconds]) => seconds / 60), points.map(([, db]) => db)]} />`;
}
