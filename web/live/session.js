/** A live session over a reconnecting socket: one block in flight, the others queued. */
import { detailOf } from "../lib/socket.js";

const MAX_QUEUED = 20;
const RETRY_MS = 300;
const MAX_RETRIES = 5;

/**
 * @typedef {object} Block
 * @property {string} pcm
 * @property {Float32Array<ArrayBuffer>} before
 * @property {Float32Array | null} target  contained in `before`, if it is known
 *
 * @typedef {{enabled?: boolean, intensity?: number, algorithm?: string}} Change
 * @typedef {{block: Block, answer: Frame, roundTripMs: number}} Answered
 */

/**
 * Dispatches
 * - `started` with the id of the session,
 * - `answer` with {block, answer, roundTripMs},
 * - `note` with a message for the user, and `error` with a message when the session fails.
 */
export class LiveSession extends EventTarget {
  /** @param {import("../lib/socket.js").PlatformSocket} socket @param {{algorithm?: string} & Frame} options of the action `start` */
  constructor(socket, options) {
    super();
    this.socket = socket;
    this.options = options;
    /** @type {string | null} */
    this.id = null;
    this.starting = false; // whether a `start` is unanswered
    this.next = 0; // seq of the next block
    this.skipped = 0; // blocks that were not sent, because the network or the platform was too slow
    /** @type {Block[]} */
    this.queue = [];
    /** @type {{block: Block, seq: number, sentAt: number} | null} */
    this.inFlight = null;
    this.retries = 0;
    /** @type {number | undefined} */
    this.retryTimer = undefined;
    /** @type {Change} */
    this.changes = {};
    /** @type {string | undefined} */
    this.requestedAlgorithm = undefined;
    this.onState = () => { if (socket.state === "open") this.#resume(); };
    this.onFrame = (/** @type {Event} */ event) => this.#receive(detailOf(event));
    socket.addEventListener("state", this.onState);
    socket.addEventListener("frame", this.onFrame);
    if (socket.state === "open") this.#resume();
  }

  /** @param {Block} block  returned with the answer */
  push(block) {
    this.queue.push(block);
    this.#skip(MAX_QUEUED);
    this.#pump();
  }

  /** @param {Change} change */
  set(change) {
    Object.assign(this.options, change.algorithm ? { algorithm: change.algorithm } : {});
    this.changes = { ...this.changes, ...change };
    if (this.id) this.socket.send({ action: "set", session: this.id, ...change });
  }

  /** End the session. Resolves after a pending `start` is answered, which the next session on this socket would mistake for its own. */
  async end() {
    clearTimeout(this.retryTimer);
    this.socket.removeEventListener("state", this.onState);
    this.socket.removeEventListener("frame", this.onFrame);
    const id = this.id ?? (this.starting ? await this.#startAnswered() : null);
    this.id = null; // later blocks are discarded
    if (id) this.socket.send({ action: "stop", session: id });
  }

  /** @returns {Promise<string|undefined>} the id of the session, or undefined if the start failed or the socket was lost */
  #startAnswered() {
    return new Promise((resolve) => {
      const frame = (/** @type {Event} */ event) => {
        const { type, session } = detailOf(event);
        if (["started", "error"].includes(type)) done(session);
      };
      const state = () => { if (this.socket.state !== "open") done(); };
      const done = (/** @type {string | undefined} */ session = undefined) => {
        this.socket.removeEventListener("frame", frame);
        this.socket.removeEventListener("state", state);
        resolve(session);
      };
      this.socket.addEventListener("frame", frame);
      this.socket.addEventListener("state", state);
    });
  }

  /** Drop the oldest queued blocks until at most `max` remain. @param {number} max */
  #skip(max) {
    while (this.queue.length > max) {
      this.queue.shift();
      this.next += 1; // the skipped number tells the server about the gap
      this.skipped += 1;
    }
  }

  #catchUp() {
    this.#skip(1);
    this.#emit("note", "The platform is overloaded. Some sound was skipped.");
  }

  #resume() {
    if (!this.id) {
      this.requestedAlgorithm = this.options.algorithm;
      this.starting = this.socket.send({ action: "start", ...this.options });
    } else if (this.inFlight) this.#send();
    else this.#pump();
  }

  #pump() {
    if (!this.id || this.inFlight || this.socket.state !== "open") return;
    const block = this.queue.shift();
    if (!block) return;
    this.inFlight = { block, seq: this.next, sentAt: 0 };
    this.next += 1;
    this.retries = 0;
    this.#send();
  }

  #send() {
    if (!this.inFlight) return;
    const { block, seq } = this.inFlight;
    this.inFlight.sentAt = performance.now();
    this.socket.send({ action: "audio", session: this.id, seq, pcm: block.pcm });
  }

  /** @param {Frame} frame */
  #receive(frame) {
    if (frame.type === "started") this.#handleStarted(frame);
    else if (frame.type === "audio") this.#handleAnswer(frame);
    else if (frame.type === "error") this.#handleError(frame);
    else if (!frame.type) this.#retry("The platform could not process a block.");
  }

  /** @param {Frame} frame */
  #handleStarted(frame) {
    this.starting = false;
    this.id = frame.session;
    this.next = frame.next_seq;
    this.#emit("started", frame.session);
    const { algorithm = this.requestedAlgorithm, ...rest } = this.changes;
    const changes = /** @type {Change} */ (rest);
    if (algorithm !== this.requestedAlgorithm) changes.algorithm = algorithm; // changed while `start` was unanswered
    if (Object.keys(changes).length) this.socket.send({ action: "set", session: this.id, ...changes });
    this.#pump();
  }

  /** @param {Frame} answer */
  #handleAnswer(answer) {
    if (!this.inFlight || answer.seq !== this.inFlight.seq) return; // not the answer to the block in flight
    const { block, sentAt } = this.inFlight;
    this.inFlight = null;
    this.#emit("answer", { block, answer, roundTripMs: performance.now() - sentAt });
    if (answer.lag_s && this.queue.length > 1) this.#catchUp();
    this.#pump();
  }

  /** @param {Frame} error */
  #handleError({ code, message, seq }) {
    this.starting = false;
    if (code === "unknown_session") {
      this.id = null;
      this.inFlight = null;
      this.#emit("note", "The session had ended. A new one was started.");
      this.#resume();
    } else if (code === "in_flight") this.#retry(message);
    else if (code === "overloaded" && seq === this.inFlight?.seq) {
      this.inFlight = null;
      this.skipped += 1;
      this.#catchUp();
      this.#pump();
    } else if (code === "stale_seq") {
      this.inFlight = null;
      this.#pump();
    } else this.#emit("error", message);
  }

  /** @param {string} reason */
  #retry(reason) {
    if (!this.inFlight) return;
    this.retries += 1;
    if (this.retries > MAX_RETRIES) this.#emit("error", `${reason} Failed ${MAX_RETRIES} times. Stop and start again.`);
    else this.retryTimer = setTimeout(() => { if (this.inFlight) this.#send(); }, RETRY_MS);
  }

  /** @param {string} type @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
