/** The shell: who is signed in, which page is shown, and in which theme. */
import { html, render, useEffect, useRef, useState } from "./lib/html.js";
import { PlatformSocket } from "./lib/socket.js";
import { Refusal, Rest } from "./lib/rest.js";
import { Icon } from "./ui/icons.js";
import { Alarm, Alert, percent } from "./ui/parts.js";
import { SignIn } from "./pages/sign-in.js";
import { Live } from "./live/page.js";
import { Headsets } from "./pages/headsets.js";
import { Headset } from "./pages/headset.js";
import { Recordings } from "./pages/recordings.js";
import { Emergencies } from "./pages/emergencies.js";
import { People } from "./pages/people.js";
import { System } from "./pages/system.js";
import { Run } from "./live/run.js";

const PAGES = {
  live: { name: "Live", page: Live },
  headsets: { name: "Headsets", page: Headsets, one: Headset },
  recordings: { name: "Recordings", page: Recordings },
  emergencies: { name: "Alarms", page: Emergencies },
  people: { name: "People", page: People },
  system: { name: "System", page: System },
};
const THEMES = ["auto", "light", "dark"];
const KEPT = "anc-token"; // for this tab only: it is forgotten with it

/**
 * Take the token or the one-time code out of the address. A fragment never leaves the browser.
 * @returns {{token: string | null, code: string | null} | null}
 */
function takeOffer() {
  const given = new URLSearchParams(location.hash.slice(1));
  const offer = { token: given.get("token"), code: given.get("code") };
  if (!offer.token && !offer.code) return null;
  history.replaceState(null, "", `${location.pathname}#/live`);
  return offer.token && offer.token === sessionStorage.getItem(KEPT) ? null : offer;
}

/** @returns {Promise<any>} why the offer was not accepted, to be shown; "" when it was */
async function signInWith({ token, code }) {
  try {
    sessionStorage.setItem(KEPT, token ?? (await new Rest("", "").post("sign-in", { code })).token);
    return "";
  } catch (refusal) {
    return refusal.status === 401
      ? html`This address was used already, or is older than ten minutes. On its machine, <code>anc console</code> prints another.`
      : refusal.message;
  }
}

function placeNow() {
  const [, page, one] = location.hash.split("/");
  return { page: PAGES[page] ? page : "live", one: one && decodeURIComponent(one) };
}

function useTheme() {
  const [theme, setTheme] = useState(localStorage.getItem("anc-theme") ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("anc-theme", theme);
    dispatchEvent(new Event("themechange"));
  }, [theme]);
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])];
}

function App({ config, first }) {
  const [token, setToken] = useState(() => sessionStorage.getItem(KEPT) ?? "");
  const [offer, setOffer] = useState(first.offer);
  const [place, setPlace] = useState(placeNow);
  const [theme, nextTheme] = useTheme();
  const [said, setSaid] = useState(first.fault);
  useEffect(() => {
    const go = async () => {
      const arrived = await arrive();
      if (arrived.offer) setOffer(arrived.offer);
      setSaid(arrived.fault);
      setToken(sessionStorage.getItem(KEPT) ?? "");
      setPlace(placeNow());
    };
    addEventListener("hashchange", go);
    return () => removeEventListener("hashchange", go);
  }, []);
  const leave = (why) => {
    sessionStorage.removeItem(KEPT);
    setToken("");
    setSaid(why);
  };
  const enter = (granted) => {
    sessionStorage.setItem(KEPT, granted);
    setSaid("");
    setToken(granted);
  };
  const replace = async () => {
    setOffer(null);
    const fault = await signInWith(offer);
    if (fault) sessionStorage.removeItem(KEPT);
    setSaid(fault);
    setToken(sessionStorage.getItem(KEPT) ?? "");
  };
  if (!token) return html`<${SignIn} rest=${new Rest(config.rest, "")} said=${said} enter=${enter} key=${said} />`;
  return html`<${Signed} key=${token} ...${{ config, token, place, theme, nextTheme, leave }} />
    ${offer && html`<${Replace} replace=${replace} stay=${() => setOffer(null)} />`}`;
}

/**
 * Sign in with what the address offers, unless a session is open in this tab: then the person is asked first, since a
 * link from somebody else would otherwise put them into another account unnoticed.
 */
async function arrive() {
  const offer = takeOffer();
  if (!offer) return { offer: null, fault: "" };
  if (sessionStorage.getItem(KEPT)) return { offer, fault: "" };
  return { offer: null, fault: await signInWith(offer) };
}

function Replace({ replace, stay }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby="replace" onCancel=${stay}>
    <h2 id="replace">Sign in again?</h2>
    <p>You are signed in already. The address that you opened ends this session and signs in anew, perhaps as somebody
      else. Continue only if you asked for this address.</p>
    <div class="choices">
      <button class="primary" onClick=${stay} autofocus>Stay signed in</button>
      <button onClick=${replace}>End this session and sign in</button>
    </div>
  </dialog>`;
}

function Signed({ config, token, place, theme, nextTheme, leave }) {
  const [tools] = useState(() => {
    const socketUrl = new URL(config.socket, location.href);
    socketUrl.protocol = socketUrl.protocol.replace("http", "ws");
    const socket = new PlatformSocket(socketUrl.href, token);
    const rest = new Rest(config.rest, token, () => leave("Your sign-in has expired. Sign in again."));
    return { rest, socket, run: new Run(socket) };
  });
  const [me, setMe] = useState(null);
  const [fault, setFault] = useState("");
  const link = useSocketState(tools.socket);
  useEffect(() => {
    tools.socket.open();
    tools.rest.get("/api/users/me").then(setMe, (refusal) => setFault(refusal.message));
    return () => {
      tools.run.stop();
      tools.socket.close();
    };
  }, []);
  useEffect(() => {
    // A handshake tells a browser nothing of why it was refused: asking does.
    if (link.failures === 2) tools.rest.get("/api/users/me").catch((refusal) => refusal);
  }, [link.failures]);
  const { name, page, one } = PAGES[place.page];
  const alarm = useAlarm(tools.run);
  useEffect(() => {
    document.title = `${alarm ? "ALARM" : place.one ?? name} · ANC Platform`;
  }, [place.page, place.one, !alarm]);
  useEffect(() => window.scrollTo(0, 0), [place.page, place.one]);
  const Page = place.one && one ? one : page;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the page</a>
    <header class="rail">
      <a class="brand" href="#/live"><img src="icon.svg" alt="" width="30" height="30" /><span>ANC Platform</span></a>
      <nav aria-label="Pages">
        ${Object.entries(PAGES).map(([key, { name: label }]) => html`
          <a key=${key} href=${`#/${key}`} aria-current=${key === place.page ? "page" : null}>
            <${Icon} name=${key} /><span>${label}</span>
          </a>`)}
      </nav>
      <div class="who">
        <${Link} ...${link} />
        <button class="quiet" onClick=${nextTheme} aria-label=${`Theme: ${theme}. Change it`}>
          <${Icon} name="theme" /><span>Theme: ${theme}</span>
        </button>
        ${me && html`<span class="me" title=${me.user}>${me.name}<small>${me.role}</small></span>`}
        <button class="quiet" onClick=${() => leave("")} aria-label="Sign out"><${Icon} name="out" /><span>Sign out</span></button>
      </div>
    </header>
    <main id="main" tabindex="-1">
      ${alarm && html`<${Alarm} takesOver>${alarm.reason || `A siren or alarm is heard (${percent(alarm.score)} sure).`}
        ${" "}Cancelling is off: you hear the world until ten seconds after it. ${place.page !== "live" && html`<a href="#/live">Back to the sound</a>`}<//>`}
      ${fault && html`<${Alert} kind="fault">${fault}<//>`}
      <${Page} key=${place.one ?? place.page} ...${tools} me=${me} one=${place.one} />
    </main>`;
}

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function useSocketState(socket) {
  const read = () => ({ state: socket.state, failures: socket.failures, returns: socket.returns });
  const [now, setNow] = useState(read);
  useEffect(() => {
    const change = () => setNow(read());
    socket.addEventListener("state", change);
    return () => socket.removeEventListener("state", change);
  }, [socket]);
  return now;
}

/** The alarm that the live session hears: it is shown on every page, since the sound goes on under all of them. */
function useAlarm(run) {
  const [alarm, setAlarm] = useState(null);
  useEffect(() => {
    const look = () => setAlarm(run.emergency.active ? run.emergency : null);
    for (const what of ["block", "change"]) run.addEventListener(what, look);
    return () => {
      for (const what of ["block", "change"]) run.removeEventListener(what, look);
    };
  }, [run]);
  return alarm;
}

function Link({ state, returns }) {
  const words = { open: "Connected", connecting: "Connecting", waiting: "Reconnecting", closed: "Offline" }[state];
  return html`<span class=${`link ${state}`} role="status" data-returns=${returns}><i></i>${words}</span>`;
}

async function begin() {
  const root = document.getElementById("app");
  try {
    const config = await (await fetch("config.json")).json();
    const first = await arrive();
    root.replaceChildren();
    render(html`<${App} config=${config} first=${first} />`, root);
  } catch (fault) {
    root.textContent = `The console could not start: ${fault instanceof Refusal ? fault.message : fault}. Reload the page.`;
  }
}

begin();
