/** Who are you: a name and a password, or a token. */
import { html, useState } from "../lib/html.js";
import { Alert } from "../ui/parts.js";

export function SignIn({ rest, said, enter }) {
  const [fault, setFault] = useState(said);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    if (given.token) return enter(given.token.trim());
    setBusy(true);
    try {
      enter((await rest.post("/api/auth/token", { username: given.username, password: given.password })).token);
    } catch (refusal) {
      setFault(refusal.message);
      setBusy(false);
    }
  };
  return html`<main class="sign-in" id="main">
    <img src="icon.svg" alt="" width="52" height="52" />
    <h1>ANC Platform</h1>
    <p>Hear what noise cancelling does, and look after headsets.</p>
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
    <form onSubmit=${submit}>
      <label>Name<input name="username" autocomplete="username" autocapitalize="none" required /></label>
      <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
      <button class="primary" disabled=${busy}>Sign in</button>
    </form>
    <details>
      <summary>Use a token instead</summary>
      <form onSubmit=${submit}>
        <label>Token or API key<input name="token" type="password" autocomplete="off" required /></label>
        <button>Use it</button>
      </form>
    </details>
    <p class="aside">No account? An admin adds people. Where the platform runs on one machine, <code>anc console</code> there prints
      an address that signs you in.</p>
  </main>`;
}
