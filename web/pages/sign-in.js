/** Sign in with a name and a password, or with a token. */
import { html, useState } from "../lib/html.js";
import { fieldsOf } from "../lib/form.js";
import { Alert } from "../ui/parts.js";

/** @param {{rest: Rest, message: Html, onSignIn: (token: string) => void}} props */
export function SignIn({ rest, message, onSignIn }) {
  const [error, setError] = useState(message);
  const [busy, setBusy] = useState(false);
  const [needsCode, setNeedsCode] = useState(false);
  const submit = async (/** @type {Submit} */ event) => {
    event.preventDefault();
    const fields = fieldsOf(event.target);
    if (fields.token) return onSignIn(fields.token.trim());
    setBusy(true);
    try {
      const { username, password, code } = fields;
      onSignIn((await rest.post("/api/auth/token", code ? { username, password, code } : { username, password })).token);
    } catch (failure) {
      const codeOnly = failure.code === "code_required" && !needsCode;
      if (codeOnly) setNeedsCode(true);
      setError(codeOnly ? "" : failure.message);
      setBusy(false);
    }
  };
  return html`<main class="sign-in" id="main">
    <img src="icon.svg" alt="" width="52" height="52" />
    <h1>ANC Platform</h1>
    <p>Try noise cancelling live and manage headsets.</p>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    <form onSubmit=${submit}>
      <label>Name<input name="username" autocomplete="username" autocapitalize="none" required /></label>
      <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
      ${needsCode && html`<label>Code of your authenticator app<input name="code" inputmode="numeric" pattern="[0-9]{6}" maxlength="6"
        autocomplete="one-time-code" required autofocus /></label>`}
      <button class="primary" disabled=${busy}>Sign in</button>
    </form>
    <details>
      <summary>Use a token instead</summary>
      <form onSubmit=${submit}>
        <label>Token or API key<input name="token" type="password" autocomplete="off" required /></label>
        <button>Sign in with token</button>
      </form>
    </details>
    <p class="aside">No account? Ask an admin to add you. If the platform runs on one machine, run <code>anc console</code> there to get
      a sign-in link.</p>
  </main>`;
}
