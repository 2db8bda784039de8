/** People and keys: who may do what, and machines that call in a person's name. */
import { html, useState } from "../lib/html.js";
import { Alert, Empty, Heading, useAnswer, when } from "../ui/parts.js";

const ROLES = ["listener", "operator", "admin"];

export function People({ rest, me }) {
  return html`<${Heading} title="People" words="A listener has headsets and recordings of their own; an operator looks after everybody's; an admin adds people." />
    <div class="stack"><${Keys} rest=${rest} me=${me} />${me?.role === "admin" && html`<${Users} rest=${rest} me=${me} />`}</div>`;
}

/** Does something that may be refused, and then asks for the list again. */
function useDoing(again) {
  const [fault, setFault] = useState("");
  const attempt = async (what) => {
    try {
      const result = await what();
      setFault("");
      again();
      return result;
    } catch (refusal) {
      setFault(refusal.message);
      return null;
    }
  };
  return [fault, attempt];
}

function Keys({ rest, me }) {
  const { answer, fault, again } = useAnswer(() => rest.get("/api/users/me/keys"), []);
  const [refused, attempt] = useDoing(again);
  const [made, setMade] = useState(null);
  const create = async (event) => {
    event.preventDefault();
    const { name, role, scopes, days } = Object.fromEntries(new FormData(event.target));
    const wanted = { name, role, scopes: scopes.split(/[\s,]+/).filter(Boolean), days: Number(days) };
    const key = await attempt(() => rest.post("/api/users/me/keys", wanted));
    if (key) {
      setMade(key);
      event.target.reset();
    }
  };
  return html`<section class="card"><h2>Your API keys</h2>
    ${(fault || refused) && html`<${Alert} kind="fault">${refused || fault}<//>`}
    ${made && html`<${Alert} kind="done">The key “${made.name}”, shown this once: <code>${made.key}</code><//>`}
    <form class="row" onSubmit=${create}>
      <label>Name<input name="name" required maxlength="64" placeholder="night run" /></label>
      <label>Role<select name="role">${ROLES.slice(0, ROLES.indexOf(me?.role ?? "listener") + 1).map((role) => html`<option key=${role}>${role}</option>`)}</select></label>
      <label>Only for<input name="scopes" autocapitalize="none" autocomplete="off" placeholder="audio, devices:read" /></label>
      <label>Days<input name="days" type="number" min="1" max="365" value="30" required /></label>
      <button>Make a key</button>
    </form>
    <p class="hint">Left empty, it is for all that its role may. <code>audio</code> is what begins with <code>/api/audio</code>; <code>devices:read</code> only looks.</p>
    ${answer?.keys.length === 0 && html`<p class="hint">None yet. With a key a program calls in your name until it expires or you revoke it.</p>`}
    ${answer?.keys.length > 0 && html`<div class="table"><table>
      <thead><tr><th>Name</th><th>Role</th><th class="minor">Made</th><th>Expires</th><th><span class="unseen">Revoke</span></th></tr></thead>
      <tbody>${answer.keys.map((key) => html`<tr key=${key.id}><td>${key.name}</td><td>${[key.role, ...key.scopes].join(", ")}</td><td class="minor">${when(key.created)}</td>
        <td>${key.expires ? new Date(key.expires * 1000).toLocaleDateString() : "never"}</td>
        <td><button class="quiet danger" aria-label=${`Revoke ${key.name}`} onClick=${() => attempt(() => rest.remove(`/api/users/me/keys/${key.id}`))}>Revoke</button></td></tr>`)}</tbody>
    </table></div>`}
  </section>`;
}

function Users({ rest, me }) {
  const { answer, fault, again } = useAnswer(() => rest.all("/api/users", "users"), []);
  const [refused, attempt] = useDoing(again);
  const add = async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await attempt(() => rest.post("/api/users", Object.fromEntries(new FormData(form))))) form.reset();
  };
  return html`<section class="card"><h2>Everybody</h2>
    ${(fault || refused) && html`<${Alert} kind="fault">${refused || fault}<//>`}
    <form class="row" onSubmit=${add}>
      <label>Name<input name="username" required autocapitalize="none" autocomplete="off" placeholder="grace" /></label>
      <label>Password<input name="password" type="password" required minlength="12" autocomplete="new-password" /></label>
      <label>Role<select name="role">${ROLES.map((role) => html`<option key=${role}>${role}</option>`)}</select></label>
      <button>Add</button>
    </form>
    ${answer?.length === 0 && html`<${Empty} title="Nobody signs in by name yet">You came with a token. Add somebody above.<//>`}
    ${answer?.length > 0 && html`<div class="table"><table>
      <thead><tr><th>Name</th><th>Role</th><th class="minor">Added</th><th><span class="unseen">Remove</span></th></tr></thead>
      <tbody>${answer.map((person) => html`<tr key=${person.user}><td>${person.name}</td>
        <td><select aria-label=${`Role of ${person.name}`} value=${person.role} disabled=${person.user === me.user}
          onChange=${(event) => attempt(() => rest.patch(`/api/users/${person.user}`, { role: event.target.value }))}>
          ${ROLES.map((role) => html`<option key=${role} value=${role}>${role}</option>`)}</select></td><td class="minor">${when(person.created)}</td>
        <td><button class="quiet danger" disabled=${person.user === me.user} aria-label=${`Remove ${person.name}`}
          onClick=${() => confirm(`Remove ${person.name}?`) && attempt(() => rest.remove(`/api/users/${person.user}`))}>Remove</button></td></tr>`)}</tbody>
    </table></div>`}
  </section>`;
}
