/** A run of the Live page: sends a source to a session, plays the answers, and measures both. */
import { LiveSession } from "./session.js";
import { dB, decodePcm, encodePcm, power } from "./pcm.js";
import { fromFile, fromMicrophone, fromScene, addSiren } from "./sources.js";

const BLOCK_S = 0.1; // at 48 kHz, two channels make a frame of 25.6 KB; the limit is 32 KB
const FDAF_BLOCK = 128; // samples; block lengths must be multiples of it
const MIN_BUFFER_S = 0.25; // of the player
const MAX_BUFFER_S = 0.7;
const MAX_POINTS = 600; // one minute
const SMOOTHING = 0.25; // of powers, per block: levels settle within half a second

/** Dispatches `block` after each answer, and `change` after other changes. */
export class Run extends EventTarget {
  /** @param {import("../lib/socket.js").PlatformSocket} socket */
  constructor(socket) {
    super();
    this.socket = socket;
    this.state = "idle"; // starting, running, failed
    this.error = "";
    this.note = "";
    this.output = "after"; // or "before"
    this.volume = 0.8;
    this.#reset();
  }

  #reset() {
    this.powers = { before: 0, after: 0, noiseBefore: 0, noiseAfter: 0 };
    this.history = { seconds: [], attenuation: [], before: [], after: [] };
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
   * @param {{kind: "scene"|"file"|"microphone", scene?: string, file?: File, channels?: 1|2}} selection @param {string} algorithm
   */
  async start(selection, algorithm) {
    const stopped = this.stop();
    this.#reset();
    this.#setState("starting");
    let context = null;
    try {
      context = this.context = new AudioContext({ latencyHint: "interactive" });
      await stopped;
      await Promise.all(["capture", "player"].map((name) =>
        context.audioWorklet.addModule(new URL(`${name}.worklet.js`, import.meta.url))));
      if (this.context !== context) return;
      const source = await openSource(context, selection);
      if (this.context !== context) {
        source.stop();
        return;
      }
      this.kind = selection.kind;
      this.#connect(source, algorithm);
      this.setVolume(this.kind === "microphone" ? 0 : this.volume || 0.8); // without headphones, loudspeaker and microphone would feed back
      this.#setState("running");
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

  setVolume(volume) {
    this.volume = volume;
    this.gain?.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
    this.#changed();
  }

  /** Change `enabled`, `intensity` or `algorithm`, also of a session that has not started yet. */
  set(change) {
    this.changes = { ...this.changes, ...change };
    this.session?.set(change);
  }

  playSiren() {
    if (this.capture) addSiren(this.context, this.capture);
  }

  #connect(source, algorithm) {
    const { context } = this;
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
    session.addEventListener("started", ({ detail }) => { this.sessionId = detail; this.#changed(); });
    session.addEventListener("note", ({ detail }) => { this.note = detail; this.#changed(); });
    session.addEventListener("error", ({ detail }) => this.#fail(detail));
    session.addEventListener("answer", ({ detail }) => this.#answered(detail, rate));
    // Not `this.session`: blocks that a stopped capture still posts belong to the session that was stopped with it.
    this.capture.port.onmessage = ({ data }) => session.push({
      pcm: encodePcm(data.slice(0, channels)),
      before: data[channels - 1],
      target: source.hasTarget ? data[2] : null,
    });
    source.node.connect(this.capture);
  }

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

  /** Measure both levels, and the levels without the target signal if the scene provides it. */
  #measure(before, after, target) {
    const noiseOf = (signal) => (target ? signal.map((sample, n) => sample - target[n]) : signal);
    const now = {
      before: power(before), after: power(after), noiseBefore: power(noiseOf(before)), noiseAfter: power(noiseOf(after)),
    };
    for (const name of Object.keys(now)) {
      this.powers[name] = this.blocks ? this.powers[name] + SMOOTHING * (now[name] - this.powers[name]) : now[name];
    }
    this.attenuation = dB(this.powers.noiseBefore) - dB(this.powers.noiseAfter);
  }

  #setState(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @returns {import("./sources.js").Source | Promise<import("./sources.js").Source>} */
function openSource(context, { kind, scene, file, channels }) {
  if (kind === "scene") return fromScene(context, scene);
  return kind === "file" ? fromFile(context, file) : fromMicrophone(context, channels);
}

/** Return a percentile (`share` from 0 to 1) of the latest 100 values. */
export function percentile(values, share) {
  const latest = values.slice(-100).sort((a, b) => a - b);
  return latest[Math.min(latest.length - 1, Math.floor(share * latest.length))];
}

function append(list, value) {
  list.push(value);
  if (list.length > MAX_POINTS) list.shift();
}
