/** A run on the page Live: a source into a session, its answers into the ear, and figures of both. */
import { LiveSession } from "./session.js";
import { dB, decodePcm, encodePcm, power } from "./pcm.js";
import { fromFile, fromMicrophone, fromScene, passSiren } from "./sources.js";

const BLOCK_S = 0.1; // at 48 kHz two channels are 25.6 KB of frame, of 32 that it may be
const FDAF_BLOCK = 128; // which filters whole blocks of its own
const LEAD_S = 0.25;
const MOST_S = 0.7;
const KEPT = 600; // figures: a minute
const SMOOTHING = 0.25; // of powers, per block: levels settle within half a second

/** Dispatches `block` after each answer and `change` when anything else about it changed. */
export class Run extends EventTarget {
  /** @param {import("../lib/socket.js").PlatformSocket} socket */
  constructor(socket) {
    super();
    this.socket = socket;
    this.state = "idle"; // starting, running, failed
    this.fault = "";
    this.note = "";
    this.hearing = "after";
    this.volume = 0.8;
    this.#forget();
  }

  #forget() {
    this.powers = { before: 0, after: 0, noiseBefore: 0, noiseAfter: 0 };
    this.history = { seconds: [], attenuation: [], before: [], after: [] };
    this.roundTrips = [];
    this.serverTimes = [];
    this.noise = null;
    this.emergency = { active: false, score: 0 };
    this.blocks = 0;
    this.gaps = 0;
    this.session = null;
    this.changes = {};
  }

  /**
   * Whoever starts or stops while another start is under way takes `context` away from it, and it gives up.
   * @param {{kind: "scene"|"file"|"microphone", scene?: string, file?: File, channels?: 1|2}} wanted @param {string} algorithm
   */
  async start(wanted, algorithm) {
    const stopped = this.stop();
    this.#forget();
    this.#become("starting");
    let context = null;
    try {
      context = this.context = new AudioContext({ latencyHint: "interactive" });
      await stopped;
      await Promise.all(["capture", "player"].map((name) =>
        context.audioWorklet.addModule(new URL(`${name}.worklet.js`, import.meta.url))));
      if (this.context !== context) return;
      const source = await opened(context, wanted);
      if (this.context !== context) {
        source.stop();
        return;
      }
      this.kind = wanted.kind;
      this.#connect(source, algorithm);
      this.setVolume(this.kind === "microphone" ? 0 : this.volume || 0.8); // open air from ear to microphone howls
      this.#become("running");
    } catch (fault) {
      if (this.context === context) this.#fail(fault.message);
    }
  }

  async stop() {
    const { live, source, capture, player, context } = this;
    this.live = this.source = this.capture = this.player = this.gain = this.context = null;
    this.fault = this.note = "";
    this.emergency = { active: false, score: 0 };
    if (this.state !== "idle") this.#become("idle");
    source?.stop();
    capture?.port.postMessage("end");
    player?.port.postMessage("end");
    this.stopped = Promise.all([this.stopped, live?.end(), context?.close()]); // and what was stopped before
    await this.stopped;
  }

  #fail(why) {
    this.stop();
    this.fault = why;
    this.#become("failed");
  }

  hear(which) {
    this.hearing = which;
    this.player?.port.postMessage(which === "after" ? 1 : 0);
    this.#changed();
  }

  setVolume(volume) {
    this.volume = volume;
    this.gain?.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
    this.#changed();
  }

  /** Change `enabled`, `intensity` or `algorithm`; a session that is only starting begins with it. */
  set(change) {
    this.changes = { ...this.changes, ...change };
    this.live?.set(change);
  }

  siren() {
    if (this.capture) passSiren(this.context, this.capture);
  }

  #connect(source, algorithm) {
    const { context } = this;
    this.source = source;
    const channels = source.channels;
    const rate = context.sampleRate;
    const heard = source.knowsWanted ? 3 : channels;
    const block = FDAF_BLOCK * Math.round((BLOCK_S * rate) / FDAF_BLOCK);
    this.capture = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0, channelCount: heard, channelCountMode: "explicit", channelInterpretation: "discrete",
      processorOptions: { block, channels: heard },
    });
    this.player = new AudioWorkletNode(context, "player", {
      numberOfInputs: 0, outputChannelCount: [2], processorOptions: { lead: LEAD_S * rate, most: MOST_S * rate },
    });
    this.gain = new GainNode(context, { gain: 0 });
    this.player.connect(this.gain).connect(context.destination);
    this.hear(this.hearing);
    const mode = channels === 2 ? "cancel" : "predict";
    const wishes = { mode, rate, channels, taps: 512, mu: 0.5, ...(mode === "cancel" ? { algorithm } : {}) };
    const live = new LiveSession(this.socket, wishes);
    this.live = live;
    live.set(this.changes);
    live.addEventListener("started", ({ detail }) => { this.session = detail; this.#changed(); });
    live.addEventListener("note", ({ detail }) => { this.note = detail; this.#changed(); });
    live.addEventListener("fault", ({ detail }) => this.#fail(detail));
    live.addEventListener("answer", ({ detail }) => this.#answered(detail, rate));
    // `live` and not `this.live`: what an ended capture still posts belongs to the session that ended with it.
    this.capture.port.onmessage = ({ data }) => live.push({
      pcm: encodePcm(data.slice(0, channels)),
      before: data[channels - 1],
      wanted: source.knowsWanted ? data[2] : null,
    });
    source.node.connect(this.capture);
  }

  #answered({ block, answer, roundTripMs }, rate) {
    const { before, wanted } = block;
    const after = decodePcm(answer.pcm);
    this.#measure(before, after, wanted);
    this.noise = answer.noise ?? this.noise;
    this.emergency = answer.emergency;
    this.gaps += answer.gap ?? 0;
    this.blocks += 1;
    keep(this.roundTrips, roundTripMs);
    keep(this.serverTimes, answer.server_ms);
    keep(this.history.seconds, (this.blocks * before.length) / rate);
    keep(this.history.attenuation, this.attenuation);
    keep(this.history.before, dB(this.powers.before));
    keep(this.history.after, dB(this.powers.after));
    this.dispatchEvent(new CustomEvent("block", { detail: { before, after, rate } }));
    // The player keeps what it is given.
    this.player?.port.postMessage({ before, after }, [before.buffer, after.buffer]);
  }

  /** Levels of both, and of what is not wanted alone where the scene knows what is. */
  #measure(before, after, wanted) {
    const minus = (signal) => (wanted ? signal.map((sample, n) => sample - wanted[n]) : signal);
    const now = {
      before: power(before), after: power(after), noiseBefore: power(minus(before)), noiseAfter: power(minus(after)),
    };
    for (const name of Object.keys(now)) {
      this.powers[name] = this.blocks ? this.powers[name] + SMOOTHING * (now[name] - this.powers[name]) : now[name];
    }
    this.attenuation = dB(this.powers.noiseBefore) - dB(this.powers.noiseAfter);
  }

  #become(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @returns {import("./sources.js").Source | Promise<import("./sources.js").Source>} */
function opened(context, { kind, scene, file, channels }) {
  if (kind === "scene") return fromScene(context, scene);
  return kind === "file" ? fromFile(context, file) : fromMicrophone(context, channels);
}

/** The value below which a share of the latest ones lies. */
export function percentile(values, share) {
  const latest = values.slice(-100).sort((a, b) => a - b);
  return latest[Math.min(latest.length - 1, Math.floor(share * latest.length))];
}

function keep(list, value) {
  list.push(value);
  if (list.length > KEPT) list.shift();
}
