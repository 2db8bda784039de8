/** A WebSocket that comes back: after a network's pause, and after API Gateway's two hours. */

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 4000;
const PING_MS = 4 * 60 * 1000; // API Gateway closes what is idle for ten minutes
const SILENCE_MS = 6000; // an answer that takes longer will not come on this socket
const GOING_AWAY = 1001;

/**
 * Dispatches `state` events ("connecting", "open", "waiting", "closed") and `frame` events with the parsed frame.
 * What it carries is for others to resume: they listen for "open" and ask again for what they had.
 */
export class PlatformSocket extends EventTarget {
  /** @param {string} url @param {string} token */
  constructor(url, token) {
    super();
    this.url = url;
    this.token = token;
    this.state = "closed";
    this.failures = 0; // handshakes in a row
    this.returns = 0; // how often it came back
    this.wanted = false;
    this.wake = () => { if (this.state === "waiting") this.#connect(); };
  }

  open() {
    if (this.wanted) return;
    this.wanted = true;
    addEventListener("online", this.wake);
    this.pings = setInterval(() => this.send({ action: "ping" }), PING_MS);
    this.#connect();
  }

  close() {
    this.wanted = false;
    removeEventListener("online", this.wake);
    clearInterval(this.pings);
    clearTimeout(this.retry);
    clearTimeout(this.silence);
    this.#leave();
    this.#become("closed");
  }

  /** @returns {boolean} whether it went out */
  send(frame) {
    if (this.state !== "open") return false;
    this.socket.send(JSON.stringify(frame));
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.drop(), SILENCE_MS);
    return true;
  }

  /** Give up on this connection and make another. */
  drop() {
    this.#leave();
    if (this.wanted) this.#wait(0);
  }

  #connect() {
    clearTimeout(this.retry);
    this.#become("connecting");
    const socket = new WebSocket(this.url, ["anc.v1", this.token]);
    this.socket = socket;
    socket.onopen = () => {
      if (this.opened) this.returns += 1;
      this.opened = true;
      this.failures = 0;
      this.#become("open");
    };
    socket.onmessage = (event) => {
      clearTimeout(this.silence);
      this.dispatchEvent(new CustomEvent("frame", { detail: JSON.parse(event.data) }));
    };
    socket.onclose = (event) => {
      const cut = this.state === "open" && event.code === GOING_AWAY;
      if (this.state !== "open") this.failures += 1;
      this.#wait(cut ? 0 : Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS));
    };
  }

  #wait(ms) {
    clearTimeout(this.silence);
    this.#become("waiting");
    this.retry = setTimeout(() => this.#connect(), ms * (0.7 + 0.6 * Math.random()));
  }

  #leave() {
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
