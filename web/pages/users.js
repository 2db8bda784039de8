/** People: API keys of the user, and for admins all users and their roles. */
import { html, useState } from "../lib/html.js";
import { fieldsOf } from "../lib/form.js";
import { Alert, Empty, Heading, useRequest, when } from "../ui/parts.js";

/** @type {Api.Me["role"][]} */
const ROLES = ["listener", "operator", "admin"];

/** @param {PageProps} props */
export function Users({ rest, me }) {
  return html`<${Heading} title="Users" text="A listener has their own headsets and recordings. An operator also manages all headsets. An admin also manages users." />
    <div class="stack"><${Keys} rest=${rest} me=${me} /><${SecondFactor} rest=${rest} />${me?.role === "admin" && html`<${UserList} rest=${rest} me=${me} />`}</div>`;
}

/** @param {string} value  of a field @returns {Api.Me["role"]} the platform refuses others */
function roleOf(value) {
  return /** @type {Api.Me["role"]} */ (value);
}

/**
 * Return an error message and a function that runs an action and then reloads the list.
 * @typedef {<T>(action: () => Promise<T>) => Promise<T | null>} Attempt
 * @param {() => void} reload @returns {[string, Attempt]}
 */
function useAction(reload) {
  const [error, setError] = useState("");
  /** @type {Attempt} */
  const attempt = async (action) => {
    try {
      const result = await action();
      setError("");
      reload();
      return result;
    } catch (failure) {
      setError(failure.message);
      return null;
    }
  };
  return [error, attempt];
}

/** @param {{rest: Rest, me: Api.Me | null}} props */
function Keys({ rest, me }) {
  const { data, error, reload } = useRequest(() => rest.get("/api/users/me/keys"), []);
  const [rejection, attempt] = useAction(reload);
  const [created, setCreated] = useState(/** @type {Api.CreatedKey | null} */ (null));
  const create = async (/** @type {Submit} */ event) => {
    event.preventDefault();
    const { name, role, scopes, days } = fieldsOf(event.target);
    const request = { name, role: roleOf(role), scopes: scopes.split(/[\s,]+/).filter(Boolean), days: Number(days) };
    const key = await attempt(() => rest.post("/api/users/me/keys", request));
    if (key) {
      setCreated(key);
      event.target.reset();
    }
  };
  return html`<section class="card"><h2>Your API keys</h2>
    ${(error || rejection) && html`<${Alert} kind="error">${rejection || error}<//>`}
    ${created && html`<${Alert} kind="done">Key “${created.name}”, displayed only once: <code>${created.key}</code><//>`}
    <form class="row" onSubmit=${create}>
      <label>Name<input name="name" required maxlength="64" placeholder="night run" /></label>
      <label>Role<select name="role">${ROLES.slice(0, ROLES.indexOf(me?.role ?? "listener") + 1).map((role) => html`<option key=${role}>${role}</option>`)}</select></label>
      <label>Scopes<input name="scopes" autocapitalize="none" autocomplete="off" placeholder="audio, devices:read" /></label>
      <label>Valid for (days)<input name="days" type="number" min="1" max="365" value="30" required /></label>
      <button>Create key</button>
    </form>
    <p class="hint">Scopes are optional. <code>audio</code> permits all paths below <code>/api/audio</code>, <code>devices:read</code> only reading; without scopes, a key has all permissions of its role.</p>
    ${data?.keys.length === 0 && html`<p class="hint">No keys yet. A program can use a key to act for you until it expires or you revoke it.</p>`}
    ${data && data.keys.length > 0 && html`<div class="table"><table>
      <thead><tr><th>Name</th><th>Role</th><th class="minor">Created</th><th>Expires</th><th><span class="visually-hidden">Revoke</span></th></tr></thead>
      <tbody>${data.keys.map((key) => html`<tr key=${key.id}><td>${key.name}</td><td>${[key.role, ...key.scopes].join(", ")}</td><td class="minor">${when(key.created)}</td>
        <td>${key.expires ? new Date(key.expires * 1000).toLocaleDateString() : "never"}</td>
        <td><button class="quiet danger" aria-label=${`Revoke ${key.name}`} onClick=${() => attempt(() => rest.remove(`/api/users/me/keys/${key.id}`))}>Revoke</button></td></tr>`)}</tbody>
    </table></div>`}
  </section>`;
}

/** Set up codes of an authenticator app. The password stays in the form until a code confirms the secret. @param {{rest: Rest}} props */
function SecondFactor({ rest }) {
  const [isOpen, setOpen] = useState(false);
  const [secret, setSecret] = useState(/** @type {Api.SecondFactor | null} */ (null));
  const [done, setDone] = useState(false);
  const [error, attempt] = useAction(() => {});
  const submit = async (/** @type {Submit} */ event) => {
    event.preventDefault();
    const { password, code } = fieldsOf(event.target);
    if (!secret) return setSecret(await attempt(() => rest.post("/api/users/me/second-factor", { password })));
    const confirmed = await attempt(async () => {
      await rest.put("/api/users/me/second-factor", { password, code });
      return true;
    });
    return setDone(confirmed === true);
  };
  return html`<section class="card"><h2>Second factor</h2>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${done
      ? html`<${Alert} kind="done">From now on, you need a code of your authenticator app to sign in.<//>`
      : html`<p class="hint">Require a code of an authenticator app at each sign-in. If you lose the app, an admin can remove this.</p>
        ${!isOpen && html`<button onClick=${() => setOpen(true)}>Set up a second factor</button>`}
        ${isOpen && html`<form class="row" onSubmit=${submit}>
          <label>Your password<input name="password" type="password" autocomplete="current-password" required /></label>
          ${secret && html`<label>Code<input name="code" inputmode="numeric" pattern="[0-9]{6}" maxlength="6" autocomplete="one-time-code" required /></label>`}
          <button>${secret ? "Confirm" : "Continue"}</button>
        </form>`}
        ${secret && html`<p>Enter this secret in the app, or <a href=${secret.uri}>open it there</a>: <code>${secret.secret}</code>. Then enter the code that the app shows.</p>`}`}
  </section>`;
}

/** @param {{rest: Rest, me: Api.Me}} props */
function UserList({ rest, me }) {
  const { data, error, reload } = useRequest(() => rest.all("/api/users", "users"), []);
  const [rejection, attempt] = useAction(reload);
  const add = async (/** @type {Submit} */ event) => {
    event.preventDefault();
    const form = event.target;
    const { username, password, role } = fieldsOf(form);
    if (await attempt(() => rest.post("/api/users", { username, password, role: roleOf(role) }))) form.reset();
  };
  return html`<section class="card"><h2>All users</h2>
    ${(error || rejection) && html`<${Alert} kind="error">${rejection || error}<//>`}
    <form class="row" onSubmit=${add}>
      <label>Name<input name="username" required autocapitalize="none" autocomplete="off" placeholder="grace" /></label>
      <label>Password<input name="password" type="password" required minlength="12" autocomplete="new-password" /></label>
      <label>Role<select name="role">${ROLES.map((role) => html`<option key=${role}>${role}</option>`)}</select></label>
      <button>Add</button>
    </form>
    ${data?.length === 0 && html`<${Empty} title="No users yet">You signed in with a token. Add users above.<//>`}
    ${data && data.length > 0 && html`<div class="table"><table>
      <thead><tr><th>Name</th><th>Role</th><th class="minor">Added</th><th><span class="visually-hidden">Remove</span></th></tr></thead>
      <tbody>${data.map((user) => html`<tr key=${user.user}><td>${user.name}</td>
        <td><select aria-label=${`Role of ${user.name}`} value=${user.role} disabled=${user.user === me.user}
          onChange=${(event) => attempt(() => rest.patch(`/api/users/${user.user}`, { role: event.target.value }))}>
          ${ROLES.map((role) => html`<option key=${role} value=${role}>${role}</option>`)}</select></td><td class="minor">${when(user.created)}</td>
        <td><button class="quiet" aria-label=${`Remove the second factor of ${user.name}`}
          onClick=${() => confirm(`Let ${user.name} sign in with the password alone?`) && attempt(() => rest.remove(`/api/users/${user.user}/second-factor`))}>Remove second factor</button>
          <button class="quiet danger" disabled=${user.user === me.user} aria-label=${`Remove ${user.name}`}
          onClick=${() => confirm(`Remove ${user.name}?`) && attempt(() => rest.remove(`/api/users/${user.user}`))}>Remove</button></td></tr>`)}</tbody>
    </table></div>`}
  </section>`;
}
