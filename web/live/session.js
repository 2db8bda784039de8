/** One live session over a socket that may come and go: one block in flight, the others wait. */

const MOST_WAITING = 20;
const TRY_AGAIN_MS = 300;
const TRIES = 5;

/**
 * Dispatches
 * - `started` with the session's id,
 * - `answer` with {block, answer, roundTripMs},
 * - `note`, a sentence for the listener, and `fault`, one that ends the session.
 */
export class LiveSession extends EventTarget {
  /** @param {import("../lib/socket.js").PlatformSocket} socket @param {object} wishes of `start` */
  constructor(socket, wishes) {
    super();
    this.socket = socket;
    this.wishes = wishes;
    this.id = null;
    this.starting = false; // whether a start is on its way
    this.next = 0; // seq of the next block
    this.skipped = 0; // blocks without an answer: the network or the platform was slower than the sound
    this.waiting = [];
    this.inFlight = null;
    this.tries = 0;
    this.onState = ({ detail }) => { if (detail === "open") this.#resume(); };
    this.onFrame = ({ detail }) => this.#read(detail);
    socket.addEventListener("state", this.onState);
    socket.addEventListener("frame", this.onFrame);
    if (socket.state === "open") this.#resume();
  }

  /** @param {{pcm: string}} block anything else in it comes back with the answer */
  push(block) {
    this.waiting.push(block);
    this.#skip(MOST_WAITING);
    this.#pump();
  }

  /** Change `enabled`, `intensity` or `algorithm`. */
  set(change) {
    Object.assign(this.wishes, change.algorithm ? { algorithm: change.algorithm } : {});
    this.changes = { ...this.changes, ...change };
    if (this.id) this.socket.send({ action: "set", session: this.id, ...change });
  }

  /** @returns {Promise<void>} until its start, if that is on its way, is answered: the next session on this socket would take the answer for its own */
  async end() {
    clearTimeout(this.retry);
    this.socket.removeEventListener("state", this.onState);
    this.socket.removeEventListener("frame", this.onFrame);
    const id = this.id ?? (this.starting ? await this.#startAnswered() : null);
    this.id = null; // what is pushed from now on goes nowhere
    if (id) this.socket.send({ action: "stop", session: id });
  }

  /** @returns {Promise<string|undefined>} the id of the session, or nothing if the start was refused or the socket lost */
  #startAnswered() {
    return new Promise((resolve) => {
      const frame = ({ detail }) => { if (["started", "error"].includes(detail.type)) done(detail.session); };
      const state = ({ detail }) => { if (detail !== "open") done(); };
      const done = (session) => {
        this.socket.removeEventListener("frame", frame);
        this.socket.removeEventListener("state", state);
        resolve(session);
      };
      this.socket.addEventListener("frame", frame);
      this.socket.addEventListener("state", state);
    });
  }

  /** Leave out the oldest waiting blocks until no more than `most` wait. */
  #skip(most) {
    while (this.waiting.length > most) {
      this.waiting.shift();
      this.next += 1; // the server hears of the gap by the number
      this.skipped += 1;
    }
  }

  #catchUp() {
    this.#skip(1);
    this.#tell("note", "The platform is overloaded: some sound was skipped to catch up.");
  }

  #resume() {
    if (!this.id) {
      this.asked = this.wishes.algorithm;
      this.starting = this.socket.send({ action: "start", ...this.wishes });
    } else if (this.inFlight) this.#send();
    else this.#pump();
  }

  #pump() {
    if (!this.id || this.inFlight || this.waiting.length === 0 || this.socket.state !== "open") return;
    this.inFlight = { block: this.waiting.shift(), seq: this.next };
    this.next += 1;
    this.tries = 0;
    this.#send();
  }

  #send() {
    const { block, seq } = this.inFlight;
    this.inFlight.sentAt = performance.now();
    this.socket.send({ action: "audio", session: this.id, seq, pcm: block.pcm });
  }

  #read(frame) {
    if (frame.type === "started") this.#started(frame);
    else if (frame.type === "audio") this.#answered(frame);
    else if (frame.type === "error") this.#refused(frame);
    else if (!frame.type) this.#again("The platform failed at a block.");
  }

  #started(frame) {
    this.starting = false;
    this.id = frame.session;
    this.next = frame.next_seq;
    this.#tell("started", frame.session);
    const { algorithm = this.asked, ...changes } = this.changes ?? {};
    if (algorithm !== this.asked) changes.algorithm = algorithm; // chosen while the start was on its way
    if (Object.keys(changes).length) this.socket.send({ action: "set", session: this.id, ...changes });
    this.#pump();
  }

  #answered(answer) {
    if (answer.seq !== this.inFlight?.seq) return; // an answer that was given up
    const { block, sentAt } = this.inFlight;
    this.inFlight = null;
    this.#tell("answer", { block, answer, roundTripMs: performance.now() - sentAt });
    if (answer.lag_s && this.waiting.length > 1) this.#catchUp();
    this.#pump();
  }

  #refused({ code, message, seq }) {
    this.starting = false;
    if (code === "unknown_session") {
      this.id = null;
      this.inFlight = null;
      this.#tell("note", "The session had ended; this is a new one.");
      this.#resume();
    } else if (code === "in_flight") this.#again(message);
    else if (code === "overloaded" && seq === this.inFlight?.seq) {
      this.inFlight = null;
      this.skipped += 1;
      this.#catchUp();
      this.#pump();
    } else if (code === "stale_seq") {
      this.inFlight = null;
      this.#pump();
    } else this.#tell("fault", message);
  }

  #again(why) {
    if (!this.inFlight) return;
    this.tries += 1;
    if (this.tries > TRIES) this.#tell("fault", `${why} It did so ${TRIES} times. Stop, and start again.`);
    else this.retry = setTimeout(() => { if (this.inFlight) this.#send(); }, TRY_AGAIN_MS);
  }

  #tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }
}
