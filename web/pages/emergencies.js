/** Alarms: what was heard where, and whether somebody is open to the world because of it. */
import { html } from "../lib/html.js";
import { Alarm, Alert, Empty, Heading, percent, useAnswer, when } from "../ui/parts.js";

const EVERY_MS = 3000;

export function Emergencies({ rest }) {
  const { answer, fault } = useAnswer(async () => {
    const [status, events, devices] = await Promise.all(
      [rest.get("/api/emergency/status"), rest.all("/api/emergency/events", "events"), rest.all("/api/devices", "devices")]);
    return { status, events: events.sort((a, b) => b.at - a.at), headsets: devices.map(({ thing }) => thing) };
  }, [], EVERY_MS);
  return html`
    <${Heading} title="Alarms" words="A siren, horn or alarm opens a headset or session to the world at once, and holds it open for ten seconds." />
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
    ${answer && (answer.status.active
      ? html`<${Alarm} word="Now">${answer.status.sources.map((event, i) => html`${i ? "; " : ""}${event.kind} at <${Source} ...${{ event, headsets: answer.headsets }} />`)}<//>`
      : html`<${Alert} kind="done">No alarm is being heard.<//>`)}
    ${answer?.events.length === 0 && html`<${Empty} title="None so far">On the page Live, “Let a siren pass” shows what happens.<//>`}
    ${answer?.events.length > 0 && html`<div class="card table"><table>
      <thead><tr><th>When</th><th>Kind</th><th class="minor">Sure</th><th>Headset or session</th></tr></thead>
      <tbody>${answer.events.map((event) => html`<tr key=${event.id}><td>${when(event.at)}</td>
        <td><span class="tag bad">${event.kind}</span></td><td class="minor">${percent(event.score)}</td><td><${Source} ...${{ event, headsets: answer.headsets }} /></td></tr>`)}</tbody>
    </table></div>`}`;
}

function Source({ event: { source }, headsets }) {
  if (headsets.includes(source)) return html`<a href=${`#/headsets/${encodeURIComponent(source)}`}>${source}</a>`;
  return html`<span title=${source}>live session <code>${source.slice(0, 8)}</code></span>`;
}
