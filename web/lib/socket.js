/** A WebSocket that reconnects after network failures, and after the two-hour limit of API Gateway. */

const FIRST_WAIT_MS = 400;
const MAX_WAIT_MS = 4000;
const PING_MS = 4 * 60 * 1000; // API Gateway closes sockets after ten idle minutes
const TIMEOUT_MS = 6000; // without an answer in this time, the connection is considered lost
const GOING_AWAY = 1001;

/** @param {Event} event @returns {any} what a custom event carries */
export function detailOf(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

/**
 * Dispatches `state` events ("connecting", "open", "waiting", "closed") and `frame` events with the parsed frame.
 * It does not restore subscriptions: users of the socket listen for "open" and send their requests again.
 */
export class PlatformSocket extends EventTarget {
  /** @param {string} url @param {string} token */
  constructor(url, token) {
    super();
    this.url = url;
    this.token = token;
    /** @type {"connecting" | "open" | "waiting" | "closed"} */
    this.state = "closed";
    this.failures = 0; // consecutive failed handshakes
    this.reconnects = 0;
    this.enabled = false;
    this.opened = false; // at least once
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {{pings?: number, retry?: number, timeout?: number}} */
    this.timers = {};
    this.wake = () => { if (this.state === "waiting") this.#connect(); };
  }

  open() {
    if (this.enabled) return;
    this.enabled = true;
    addEventListener("online", this.wake);
    this.timers.pings = setInterval(() => this.send({ action: "ping" }), PING_MS);
    this.#connect();
  }

  close() {
    this.enabled = false;
    removeEventListener("online", this.wake);
    clearInterval(this.timers.pings);
    clearTimeout(this.timers.retry);
    clearTimeout(this.timers.timeout);
    this.#disconnect();
    this.#setState("closed");
  }

  /** @param {Frame} frame @returns {boolean} whether the frame was sent */
  send(frame) {
    if (this.state !== "open" || !this.socket) return false;
    this.socket.send(JSON.stringify(frame));
    clearTimeout(this.timers.timeout);
    this.timers.timeout = setTimeout(() => this.drop(), TIMEOUT_MS);
    return true;
  }

  /** Close this connection and open another. */
  drop() {
    this.#disconnect();
    if (this.enabled) this.#wait(0);
  }

  #connect() {
    clearTimeout(this.timers.retry);
    this.#setState("connecting");
    const socket = new WebSocket(this.url, ["anc.v1", this.token]);
    this.socket = socket;
    socket.onopen = () => {
      if (this.opened) this.reconnects += 1;
      this.opened = true;
      this.failures = 0;
      this.#setState("open");
    };
    socket.onmessage = (event) => {
      clearTimeout(this.timers.timeout);
      this.dispatchEvent(new CustomEvent("frame", { detail: JSON.parse(event.data) }));
    };
    socket.onclose = (event) => {
      const expired = this.state === "open" && event.code === GOING_AWAY;
      if (this.state !== "open") this.failures += 1;
      this.#wait(expired ? 0 : Math.min(FIRST_WAIT_MS * 2 ** this.failures, MAX_WAIT_MS));
    };
  }

  /** @param {number} ms */
  #wait(ms) {
    clearTimeout(this.timers.timeout);
    this.#setState("waiting");
    this.timers.retry = setTimeout(() => this.#connect(), ms * (0.7 + 0.6 * Math.random()));
  }

  #disconnect() {
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  /** @param {"connecting" | "open" | "waiting" | "closed"} state */
  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
