/** A run of the Live page: sends a source to a session, plays the answers, and measures both. */
import { LiveSession } from "./session.js";
import { dB, decodePcm, encodePcm, power } from "./pcm.js";
import { detailOf } from "../lib/socket.js";
import { fromFile, fromMicrophone, fromScene, addSiren } from "./sources.js";

const BLOCK_S = 0.1; // at 48 kHz, two channels make a frame of 25.6 KB; the limit is 32 KB
const FDAF_BLOCK = 128; // samples; block lengths must be multiples of it
const MIN_BUFFER_S = 0.25; // of the player
const MAX_BUFFER_S = 0.7;
const MAX_POINTS = 600; // one minute
const AUDIO_WAIT_MS = 15_000; // a browser without an output device never starts audio, and says nothing
const NO_AUDIO = "The browser does not play sound: check its output device, and allow this page to play sound.";
const SMOOTHING = 0.25; // of powers, per block: levels settle within half a second

/**
 * @typedef {{kind: "scene"|"file"|"microphone", scene?: import("./scene.js").Scene, file?: File, channels?: number}} Selection
 * @typedef {import("./session.js").Change} Change
 */

/** Dispatches `block` after each answer, and `change` after other changes. */
export class Run extends EventTarget {
  /** @type {"idle" | "starting" | "running" | "failed"} */
  state = "idle";
  error = "";
  note = "";
  /** @type {"before" | "after"} */
  output = "after";
  volume = 0.8;
  /** @type {Selection["kind"] | null} */
  kind = null;
  /** @type {Promise<unknown> | null} */
  stopped = null;

  // What a run consists of.
  /** @type {LiveSession | null} */
  session = null;
  /** @type {import("./sources.js").Source | null} */
  source = null;
  /** @type {AudioWorkletNode | null} */
  capture = null;
  /** @type {AudioWorkletNode | null} */
  player = null;
  /** @type {GainNode | null} */
  gain = null;
  /** @type {AudioContext | null} */
  context = null;

  // What is measured.
  powers = { before: 0, after: 0, noiseBefore: 0, noiseAfter: 0 };
  attenuation = 0;
  history = emptyHistory();
  /** @type {number[]} */
  roundTrips = [];
  /** @type {number[]} */
  serverTimes = [];
  /** @type {{label: string, confidence: number} | null} */
  noise = null;
  /** @type {{active: boolean, score: number, reason?: string}} */
  emergency = { active: false, score: 0 };
  blocks = 0;
  gaps = 0;
  /** @type {string | null} */
  sessionId = null;
  /** @type {Change} */
  changes = {};

  /** @param {PlatformSocket} socket */
  constructor(socket) {
    super();
    this.socket = socket;
  }

  #reset() {
    this.powers = { before: 0, after: 0, noiseBefore: 0, noiseAfter: 0 };
    this.history = emptyHistory();
    this.roundTrips = [];
    this.serverTimes = [];
    this.noise = null;
    this.emergency = { active: false, score: 0 };
    this.blocks = 0;
    this.gaps = 0;
    this.sessionId = null;
    this.changes = {};
  }

  /**
   * Start a run. A start or stop during another start replaces `context`, and the earlier start gives up.
   * @param {Selection} selection @param {string} algorithm
   */
  async start(selection, algorithm) {
    const stopped = this.stop();
    this.#reset();
    this.#setState("starting");
    /** @type {AudioContext | null} */
    let context = null;
    try {
      const made = context = this.context = new AudioContext({ latencyHint: "interactive" });
      await stopped;
      await Promise.all(["capture", "player"].map((name) =>
        made.audioWorklet.addModule(new URL(`${name}.worklet.js`, import.meta.url))));
      if (this.context !== context) return;
      const source = await openSource(context, selection);
      if (this.context !== context) {
        source.stop();
        return;
      }
      this.kind = selection.kind;
      this.#connect(context, source, algorithm);
      this.setVolume(this.kind === "microphone" ? 0 : this.volume || 0.8); // without headphones, loudspeaker and microphone would feed back
      this.#setState("running");
      setTimeout(() => {
        if (this.context === context && made.state === "suspended") this.#fail(NO_AUDIO);
      }, AUDIO_WAIT_MS);
    } catch (failure) {
      if (this.context === context) this.#fail(failure.message);
    }
  }

  async stop() {
    const { session, source, capture, player, context } = this;
    this.session = this.source = this.capture = this.player = this.gain = this.context = null;
    this.error = this.note = "";
    this.emergency = { active: false, score: 0 };
    if (this.state !== "idle") this.#setState("idle");
    source?.stop();
    capture?.port.postMessage("end");
    player?.port.postMessage("end");
    this.stopped = Promise.all([this.stopped, session?.end(), context?.close()]); // includes earlier stops
    await this.stopped;
  }

  /** @param {string} reason */
  #fail(reason) {
    this.stop();
    this.error = reason;
    this.#setState("failed");
  }

  /** @param {"before"|"after"} output */
  listenTo(output) {
    this.output = output;
    this.player?.port.postMessage(output === "after" ? 1 : 0);
    this.#changed();
  }

  /** @param {number} volume  0 to 1 */
  setVolume(volume) {
    this.volume = volume;
    this.gain?.gain.setTargetAtTime(volume, this.gain.context.currentTime, 0.02);
    this.#changed();
  }

  /** Change `enabled`, `intensity` or `algorithm`, also of a session that has not started yet. @param {Change} change */
  set(change) {
    this.changes = { ...this.changes, ...change };
    this.session?.set(change);
  }

  playSiren() {
    if (this.capture) addSiren(this.capture.context, this.capture);
  }

  /** @param {AudioContext} context @param {import("./sources.js").Source} source @param {string} algorithm */
  #connect(context, source, algorithm) {
    this.source = source;
    const channels = source.channels;
    const rate = context.sampleRate;
    const captured = source.hasTarget ? 3 : channels;
    const block = FDAF_BLOCK * Math.round((BLOCK_S * rate) / FDAF_BLOCK);
    this.capture = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0, channelCount: captured, channelCountMode: "explicit", channelInterpretation: "discrete",
      processorOptions: { block, channels: captured },
    });
    this.player = new AudioWorkletNode(context, "player", {
      numberOfInputs: 0, outputChannelCount: [2], processorOptions: { min: MIN_BUFFER_S * rate, max: MAX_BUFFER_S * rate },
    });
    this.gain = new GainNode(context, { gain: 0 });
    this.player.connect(this.gain).connect(context.destination);
    this.listenTo(this.output);
    const mode = channels === 2 ? "cancel" : "predict";
    const options = { mode, rate, channels, taps: 512, mu: 0.5, ...(mode === "cancel" ? { algorithm } : {}) };
    const session = new LiveSession(this.socket, options);
    this.session = session;
    session.set(this.changes);
    session.addEventListener("started", (event) => { this.sessionId = detailOf(event); this.#changed(); });
    session.addEventListener("note", (event) => { this.note = detailOf(event); this.#changed(); });
    session.addEventListener("error", (event) => this.#fail(detailOf(event)));
    session.addEventListener("answer", (event) => this.#answered(detailOf(event), rate));
    // Not `this.session`: blocks that a stopped capture still posts belong to the session that was stopped with it.
    this.capture.port.onmessage = ({ data }) => session.push({
      pcm: encodePcm(data.slice(0, channels)),
      before: data[channels - 1],
      target: source.hasTarget ? data[2] : null,
    });
    source.node.connect(this.capture);
  }

  /** @param {import("./session.js").Answered} answered @param {number} rate */
  #answered({ block, answer, roundTripMs }, rate) {
    const { before, target } = block;
    const after = decodePcm(answer.pcm);
    this.#measure(before, after, target);
    this.noise = answer.noise ?? this.noise;
    this.emergency = answer.emergency;
    this.gaps += answer.gap ?? 0;
    this.blocks += 1;
    append(this.roundTrips, roundTripMs);
    append(this.serverTimes, answer.server_ms);
    append(this.history.seconds, (this.blocks * before.length) / rate);
    append(this.history.attenuation, this.attenuation);
    append(this.history.before, dB(this.powers.before));
    append(this.history.after, dB(this.powers.after));
    this.dispatchEvent(new CustomEvent("block", { detail: { before, after, rate } }));
    // Transferred, not copied.
    this.player?.port.postMessage({ before, after }, [before.buffer, after.buffer]);
  }

  /**
   * Measure both levels, and the levels without the target signal if the scene provides it.
   * @param {Float32Array} before @param {Float32Array} after @param {Float32Array | null} target
   */
  #measure(before, after, target) {
    const noiseOf = (/** @type {Float32Array} */ signal) => (target ? signal.map((sample, n) => sample - target[n]) : signal);
    const now = {
      before: power(before), after: power(after), noiseBefore: power(noiseOf(before)), noiseAfter: power(noiseOf(after)),
    };
    for (const name of /** @type {(keyof typeof now)[]} */ (Object.keys(now))) {
      this.powers[name] = this.blocks ? this.powers[name] + SMOOTHING * (now[name] - this.powers[name]) : now[name];
    }
    this.attenuation = dB(this.powers.noiseBefore) - dB(this.powers.noiseAfter);
  }

  /** @param {Run["state"]} state */
  #setState(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {AudioContext} context @param {Selection} selection @returns {import("./sources.js").Source | Promise<import("./sources.js").Source>} */
function openSource(context, { kind, scene = "cabin", file, channels }) {
  if (kind === "file" && file) return fromFile(context, file);
  return kind === "microphone" ? fromMicrophone(context, channels === 2 ? 2 : 1) : fromScene(context, scene);
}

/**
 * Return a percentile (`share` from 0 to 1) of the latest 100 values, undefined of none.
 * @param {number[]} values @param {number} share @returns {number | undefined}
 */
export function percentile(values, share) {
  const latest = values.slice(-100).sort((a, b) => a - b);
  return latest[Math.min(latest.length - 1, Math.floor(share * latest.length))];
}

/** @returns {Record<"seconds" | "attenuation" | "before" | "after", number[]>} */
function emptyHistory() {
  return { seconds: [], attenuation: [], before: [], after: [] };
}

/** @param {number[]} list @param {number} value */
function append(list, value) {
  list.push(value);
  if (list.length > MAX_POINTS) list.shift();
}
