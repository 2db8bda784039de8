/** Emergencies: current ones, and the events of the past. */
import { html } from "../lib/html.js";
import { Alert, EmergencyBanner, Empty, Heading, percent, useRequest, when } from "../ui/parts.js";

const POLL_MS = 3000;

export function Emergencies({ rest }) {
  const { data, error } = useRequest(async () => {
    const [status, events, devices] = await Promise.all(
      [rest.get("/api/emergency/status"), rest.all("/api/emergency/events", "events"), rest.all("/api/devices", "devices")]);
    return { status, events: events.sort((a, b) => b.at - a.at), names: new Map(devices.map(({ thing, name }) => [thing, name || thing])) };
  }, [], POLL_MS);
  return html`
    <${Heading} title="Emergencies" text="A siren, horn or alarm switches cancelling off until ten seconds after the last detection." />
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${data && (data.status.active
      ? html`<${EmergencyBanner} title="Now">${data.status.sources.map((event, i) => html`${i ? "; " : ""}${event.kind} at <${Source} ...${{ event, names: data.names }} />`)}<//>`
      : html`<${Alert} kind="done">No emergency is active.<//>`)}
    ${data?.events.length === 0 && html`<${Empty} title="No events yet">To create one, click “Play a siren” on the Live page.<//>`}
    ${data?.events.length > 0 && html`<div class="card table"><table>
      <thead><tr><th>Time</th><th>Kind</th><th class="minor">Confidence</th><th>Headset or session</th></tr></thead>
      <tbody>${data.events.map((event) => html`<tr key=${event.id}><td>${when(event.at)}</td>
        <td><span class="tag bad">${event.kind}</span></td><td class="minor">${percent(event.score)}</td><td><${Source} ...${{ event, names: data.names }} /></td></tr>`)}</tbody>
    </table></div>`}`;
}

function Source({ event: { source }, names }) {
  if (names.has(source)) return html`<a href=${`#/headsets/${encodeURIComponent(source)}`}>${names.get(source)}</a>`;
  return html`<span title=${source}>live session <code>${source.slice(0, 8)}</code></span>`;
}
