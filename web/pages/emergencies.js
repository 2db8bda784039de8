/** Alarms: what was heard where, and whether somebody is open to the world because of it. */
import { html } from "../lib/html.js";
import { Alert, Empty, Heading, percent, useAnswer, when } from "../ui/parts.js";

const EVERY_MS = 3000;

export function Emergencies({ rest }) {
  const { answer, fault } = useAnswer(async () => {
    const [status, events] = await Promise.all([rest.get("/api/emergency/status"), rest.all("/api/emergency/events", "events")]);
    return { status, events: events.sort((a, b) => b.at - a.at) };
  }, [], EVERY_MS);
  return html`
    <${Heading} title="Alarms" words="A siren, horn or alarm opens a headset or session to the world at once, and holds it open for ten seconds." />
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
    ${answer && (answer.status.active
      ? html`<div class="alarm" role="alert"><strong>Now</strong><p>${answer.status.sources.map((event) => `${event.kind} at ${event.source}`).join("; ")}</p></div>`
      : html`<${Alert} kind="done">No alarm is being heard.<//>`)}
    ${answer?.events.length === 0 && html`<${Empty} title="None so far">On the page Live, “Let a siren pass” shows what happens.<//>`}
    ${answer?.events.length > 0 && html`<div class="card table"><table>
      <thead><tr><th>When</th><th>Kind</th><th class="minor">Sure</th><th>Headset or session</th></tr></thead>
      <tbody>${answer.events.map((event) => html`<tr key=${event.id}><td>${when(event.at)}</td>
        <td><span class="tag bad">${event.kind}</span></td><td class="minor">${percent(event.score)}</td><td><code>${event.source}</code></td></tr>`)}</tbody>
    </table></div>`}`;
}
