/** The application shell: sign-in, navigation and theme. */
import { html, render, useEffect, useRef, useState } from "./lib/html.js";
import { PlatformSocket } from "./lib/socket.js";
import { ApiError, Rest } from "./lib/rest.js";
import { Icon } from "./ui/icons.js";
import { Alert, EmergencyBanner, percent } from "./ui/parts.js";
import { SignIn } from "./pages/sign-in.js";
import { Live } from "./live/page.js";
import { Headsets } from "./pages/headsets.js";
import { Fleet } from "./pages/fleet.js";
import { Headset } from "./pages/headset.js";
import { Recording } from "./pages/recording.js";
import { Recordings } from "./pages/recordings.js";
import { Emergencies } from "./pages/emergencies.js";
import { Users } from "./pages/users.js";
import { System } from "./pages/system.js";
import { Rollouts } from "./pages/rollouts.js";
import { Run } from "./live/run.js";

/** @type {Record<string, {name: string, page: (props: PageProps) => any, item?: (props: PageProps) => any, ofOperators?: boolean}>} */
const PAGES = {
  live: { name: "Live", page: Live },
  headsets: { name: "Headsets", page: Headsets, item: Headset },
  fleet: { name: "Fleet", page: Fleet, ofOperators: true },
  rollouts: { name: "Rollouts", page: Rollouts, ofOperators: true },
  recordings: { name: "Recordings", page: Recordings, item: Recording },
  emergencies: { name: "Emergencies", page: Emergencies },
  users: { name: "Users", page: Users },
  system: { name: "System", page: System },
};
/** @typedef {{rest: string, socket: string}} Config  base URL of the API, and URL of the WebSocket */
const THEMES = ["auto", "light", "dark"];
const TOKEN_KEY = "anc-token"; // in sessionStorage: for this tab only

/**
 * Remove the token or the one-time code from the URL and return it. Browsers do not send the fragment to servers.
 * @returns {{token: string | null, code: string | null} | null}
 */
function takeLink() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const link = { token: fields.get("token"), code: fields.get("code") };
  if (!link.token && !link.code) return null;
  history.replaceState(null, "", `${location.pathname}#/live`);
  return link.token && link.token === sessionStorage.getItem(TOKEN_KEY) ? null : link;
}

/** @typedef {NonNullable<ReturnType<typeof takeLink>>} Link */

/** @param {Link} link @returns {Promise<Html>} an error message, or "" on success */
async function signInWithLink({ token, code }) {
  try {
    sessionStorage.setItem(TOKEN_KEY, token ?? (await new Rest("", "").call("POST", "sign-in", { code })).token);
    return "";
  } catch (failure) {
    return failure.status === 401
      ? html`This sign-in link was already used, or is older than ten minutes. Run <code>anc console</code> on its machine to get another.`
      : failure.message;
  }
}

/** @returns {{page: string, id: string | undefined, query: string}} the route in the URL */
function currentRoute() {
  const [path, query = ""] = location.hash.split("?", 2);
  const [, page, id] = path.split("/");
  return { page: PAGES[page] ? page : "live", id: id && decodeURIComponent(id), query };
}

/** @returns {[string, () => void]} */
function useTheme() {
  const [theme, setTheme] = useState(localStorage.getItem("anc-theme") ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("anc-theme", theme);
    dispatchEvent(new Event("themechange"));
  }, [theme]);
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])];
}

/** @param {{config: Config, initial: {link: Link | null, error: Html}}} props */
function App({ config, initial }) {
  const [token, setToken] = useState(() => sessionStorage.getItem(TOKEN_KEY) ?? "");
  const [link, setLink] = useState(initial.link);
  const [route, setRoute] = useState(currentRoute);
  const [theme, nextTheme] = useTheme();
  const [message, setMessage] = useState(initial.error);
  useEffect(() => {
    const navigate = async () => {
      const { link, error } = await openLink();
      if (link) setLink(link);
      setMessage(error);
      setToken(sessionStorage.getItem(TOKEN_KEY) ?? "");
      setRoute(currentRoute());
    };
    addEventListener("hashchange", navigate);
    return () => removeEventListener("hashchange", navigate);
  }, []);
  const signOut = (/** @type {string} */ reason) => {
    sessionStorage.removeItem(TOKEN_KEY);
    setToken("");
    setMessage(reason);
  };
  const signIn = (/** @type {string} */ newToken) => {
    sessionStorage.setItem(TOKEN_KEY, newToken);
    setMessage("");
    setToken(newToken);
  };
  const replace = async () => {
    if (!link) return;
    setLink(null);
    const error = await signInWithLink(link);
    if (error) sessionStorage.removeItem(TOKEN_KEY);
    setMessage(error);
    setToken(sessionStorage.getItem(TOKEN_KEY) ?? "");
  };
  if (!token) return html`<${SignIn} rest=${new Rest(config.rest, "")} message=${message} onSignIn=${signIn} key=${message} />`;
  return html`<${SignedIn} key=${token} ...${{ config, token, route, theme, nextTheme, signOut }} />
    ${link && html`<${ReplaceSession} replace=${replace} stay=${() => setLink(null)} />`}`;
}

/**
 * Sign in with the link in the URL. If this tab has a session, return the link instead, to ask for confirmation: a
 * link from an attacker could otherwise switch the account unnoticed.
 * @returns {Promise<{link: Link | null, error: Html}>}
 */
async function openLink() {
  const link = takeLink();
  if (!link) return { link: null, error: "" };
  if (sessionStorage.getItem(TOKEN_KEY)) return { link, error: "" };
  return { link: null, error: await signInWithLink(link) };
}

/** @param {{replace: () => void, stay: () => void}} props */
function ReplaceSession({ replace, stay }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby="replace" onCancel=${stay}>
    <h2 id="replace">Sign in again?</h2>
    <p>You are already signed in. This link ends the session and signs in again, possibly with another account.
      Continue only if you requested the link.</p>
    <div class="choices">
      <button class="primary" onClick=${stay} autofocus>Stay signed in</button>
      <button onClick=${replace}>End this session and sign in</button>
    </div>
  </dialog>`;
}

/**
 * @param {{config: Config, token: string, route: ReturnType<typeof currentRoute>, theme: string, nextTheme: () => void,
 *   signOut: (reason: string) => void}} props
 */
function SignedIn({ config, token, route, theme, nextTheme, signOut }) {
  const [shared] = useState(() => {
    const socketUrl = new URL(config.socket, location.href);
    socketUrl.protocol = socketUrl.protocol.replace("http", "ws");
    const socket = new PlatformSocket(socketUrl.href, token);
    const rest = new Rest(config.rest, token, () => signOut("Your session has expired. Sign in again."));
    return { rest, socket, run: new Run(socket) };
  });
  const [me, setMe] = useState(/** @type {Api.Me | null} */ (null));
  const [error, setError] = useState("");
  const connection = useSocketState(shared.socket);
  useEffect(() => {
    shared.socket.open();
    shared.rest.get("/api/users/me").then(setMe, (failure) => setError(failure.message));
    return () => {
      shared.run.stop();
      shared.socket.close();
    };
  }, []);
  useEffect(() => {
    // Browsers do not expose why a WebSocket handshake was rejected. This request detects an expired token.
    if (connection.failures === 2) shared.rest.get("/api/users/me").catch(() => {});
  }, [connection.failures]);
  const { name, page, item } = PAGES[route.page];
  const emergency = useEmergency(shared.run);
  useEffect(() => {
    document.title = `${emergency ? "EMERGENCY" : route.id ?? name} · ANC Platform`;
  }, [route.page, route.id, !emergency]);
  useEffect(() => {
    showCurrent(document.querySelector(".rail nav [aria-current]"));
    window.scrollTo(0, 0);
  }, [route.page, route.id, me]);
  const Page = route.id && item ? item : page;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to content</a>
    <header class="rail">
      <a class="brand" href="#/live"><img src="icon.svg" alt="" width="30" height="30" /><span>ANC Platform</span></a>
      <nav aria-label="Pages">
        ${Object.entries(PAGES).filter(([, { ofOperators }]) => !ofOperators || (me && me.role !== "listener")).map(([key, { name: label }]) => html`
          <a key=${key} href=${`#/${key}`} aria-current=${key === route.page ? "page" : null}>
            <${Icon} name=${key} /><span>${label}</span>
          </a>`)}
      </nav>
      <div class="account">
        <${ConnectionState} ...${connection} />
        <button class="quiet" onClick=${nextTheme} aria-label=${`Theme: ${theme}. Change theme`}>
          <${Icon} name="theme" /><span>Theme: ${theme}</span>
        </button>
        ${me && html`<span class="me" title=${me.user}>${me.name}<small>${me.role}</small></span>`}
        <button class="quiet" onClick=${() => signOut("")} aria-label="Sign out"><${Icon} name="out" /><span>Sign out</span></button>
      </div>
    </header>
    <main id="main" tabindex="-1">
      ${emergency && html`<${EmergencyBanner} fullPage>${emergency.reason || `A siren or alarm was detected (confidence ${percent(emergency.score)}).`}
        ${" "}Cancelling is off until ten seconds after the last detection. ${route.page !== "live" && html`<a href="#/live">Go to the Live page</a>`}<//>`}
      ${error && html`<${Alert} kind="error">${error}<//>`}
      <${Page} key=${route.id ?? route.page} ...${shared} me=${me} id=${route.id} query=${route.query} />
    </main>`;
}

/** Scroll the bottom bar to an entry. `scrollIntoView` would also make it the place from which Tab goes on. @param {HTMLElement | null} entry */
function showCurrent(entry) {
  const bar = entry?.closest("nav");
  if (entry && bar) bar.scrollLeft += entry.getBoundingClientRect().left - bar.getBoundingClientRect().left - (bar.clientWidth - entry.offsetWidth) / 2;
}

/** @param {Event} event */
function toMain(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** @param {PlatformSocket} socket */
function useSocketState(socket) {
  const read = () => ({ state: socket.state, failures: socket.failures, reconnects: socket.reconnects });
  const [current, setCurrent] = useState(read);
  useEffect(() => {
    const change = () => setCurrent(read());
    socket.addEventListener("state", change);
    return () => socket.removeEventListener("state", change);
  }, [socket]);
  return current;
}

/** Return the emergency of the live session, or null. Every page shows it, because the session continues on all pages. @param {Run} run */
function useEmergency(run) {
  const [emergency, setEmergency] = useState(/** @type {Run["emergency"] | null} */ (null));
  useEffect(() => {
    const update = () => setEmergency(run.emergency.active ? run.emergency : null);
    for (const type of ["block", "change"]) run.addEventListener(type, update);
    return () => {
      for (const type of ["block", "change"]) run.removeEventListener(type, update);
    };
  }, [run]);
  return emergency;
}

/** @param {ReturnType<typeof useSocketState>} props */
function ConnectionState({ state, reconnects }) {
  const text = { open: "Connected", connecting: "Connecting", waiting: "Reconnecting", closed: "Offline" }[state];
  return html`<span class=${`link ${state}`} role="status" data-reconnects=${reconnects}><i></i>${text}</span>`;
}

async function main() {
  const root = document.getElementById("app");
  if (!root) throw new Error("index.html has no element with the id app");
  try {
    const config = await (await fetch("config.json")).json();
    const initial = await openLink();
    root.replaceChildren();
    render(html`<${App} config=${config} initial=${initial} />`, root);
  } catch (failure) {
    root.textContent = `The console could not start: ${failure instanceof ApiError ? failure.message : failure}. Reload the page.`;
  }
}

main();
