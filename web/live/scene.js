/**
 * Synthetic scenes for two microphones: x is the noise outside, d the noise at the ear plus a melody, the target
 * signal. Scenes are deterministic.
 */

const SECONDS = 16;
const NOISE_DBFS = -22;
const MELODY_DBFS = -37;
const SIREN_DBFS = -18;
const SIREN_S = 12;
const MICROPHONE_NOISE = 2e-4; // amplitude

/** @typedef {keyof typeof SCENES} Scene */

/** Names and descriptions of the scenes. */
export const SCENES = {
  cabin: { name: "Airliner cabin", text: "Air flow and two faint turbine tones" },
  engine: { name: "Diesel engine", text: "Thirty wandering harmonics and broadband clatter" },
  street: { name: "Street", text: "Tyre noise of passing cars and low-frequency rumble" },
};

const GENERATORS = { cabin, engine, street };

/**
 * Return a scene as a loop: channel 0 is the reference x, 1 the primary d, 2 the target signal contained in d.
 * @param {BaseAudioContext} context @param {Scene} name @returns {AudioBuffer}
 */
export function sceneBuffer(context, name) {
  const rate = context.sampleRate;
  const random = generator(7);
  const noise = scaled(GENERATORS[name](SECONDS * rate, rate, random), NOISE_DBFS);
  crossfadeLoop(noise, rate);
  const melody = scaled(plucked(SECONDS * rate, rate, random), MELODY_DBFS);
  const atEar = primaryPath(noise, rate);
  const buffer = context.createBuffer(3, noise.length, rate);
  const [x, d, target] = [0, 1, 2].map((c) => buffer.getChannelData(c));
  for (let n = 0; n < noise.length; n++) {
    x[n] = noise[n] + MICROPHONE_NOISE * random();
    d[n] = atEar[n] + melody[n] + MICROPHONE_NOISE * random();
    target[n] = melody[n];
  }
  return buffer;
}

/** Return a passing siren, which sweeps between 600 and 1500 Hz: the same signal for both microphones and the target. @param {BaseAudioContext} context */
export function sirenBuffer(context) {
  const rate = context.sampleRate;
  const siren = new Float32Array(SIREN_S * rate);
  let phase = 0;
  for (let n = 0; n < siren.length; n++) {
    const t = n / rate;
    const hz = 1050 - 450 * Math.cos((2 * Math.PI * t) / 4);
    phase += (2 * Math.PI * hz) / rate;
    const passing = Math.exp(-0.5 * ((t - SIREN_S / 2) / 3.5) ** 2);
    siren[n] = passing * (Math.sin(phase) + 0.5 * Math.sin(2 * phase) + 0.3 * Math.sin(3 * phase));
  }
  scaled(siren, SIREN_DBFS);
  const buffer = context.createBuffer(3, siren.length, rate);
  for (let c = 0; c < 3; c++) buffer.copyToChannel(siren, c);
  return buffer;
}

/** @param {number} length @param {number} rate @param {() => number} random */
function cabin(length, rate, random) {
  const flow = lowPassed(lowPassed(white(length, random), 260, rate), 900, rate);
  scaled(flow, 0);
  return flow.map((sample, n) => sample
    + 0.25 * Math.sin((2 * Math.PI * 87 * n) / rate) + 0.15 * Math.sin((2 * Math.PI * 213 * n) / rate));
}

/** @param {number} length @param {number} rate @param {() => number} random */
function engine(length, rate, random) {
  const clatter = scaled(lowPassed(white(length, random), 700, rate), -9);
  const wander = lowPassed(lowPassed(white(length, random), 0.4, rate), 0.4, rate);
  scaled(wander, 0);
  let phase = 0;
  return clatter.map((sample, n) => {
    phase += (2 * Math.PI * 24 * (1 + 0.01 * wander[n])) / rate;
    let sum = sample;
    for (let k = 2; k <= 30; k++) sum += (0.35 * Math.sin(k * phase + k * k)) / k ** 0.7;
    return sum;
  });
}

/** @param {number} length @param {number} rate @param {() => number} random */
function street(length, rate, random) {
  const rumble = scaled(lowPassed(lowPassed(white(length, random), 120, rate), 300, rate), -4);
  const tyres = lowPassed(lowPassed(white(length, random), 1400, rate), 1400, rate);
  const low = lowPassed(tyres, 350, rate);
  for (let n = 0; n < length; n++) tyres[n] -= low[n];
  scaled(tyres, 0);
  return rumble.map((sample, n) => {
    const t = n / rate;
    const passing = Math.exp(-0.5 * ((t - 4.5) / 1.3) ** 2) + Math.exp(-0.5 * ((t - 11.5) / 1.9) ** 2);
    return sample + (0.25 + 1.1 * passing) * tyres[n];
  });
}

/** Return a slow arpeggio on plucked strings (Karplus and Strong, 1983). @param {number} length @param {number} rate @param {() => number} random */
function plucked(length, rate, random) {
  const notes = [220, 277.18, 329.63, 440, 369.99, 329.63, 277.18, 246.94];
  const out = new Float32Array(length);
  const step = Math.floor(length / (4 * notes.length));
  const wide = Math.max(1, Math.round(rate / 16000)); // samples, so that strings sound alike at all rates
  let deflection = 0;
  for (let i = 0; i * step < length; i++) {
    const string = Float32Array.from({ length: Math.round(rate / notes[i % notes.length]) },
      (_, k) => (deflection = k % wide ? deflection : random()));
    const end = Math.min(length, (i + 3) * step);
    for (let n = i * step, k = 0; n < end; n++, k = (k + 1) % string.length) {
      out[n] += string[k] * Math.min(1, (end - n) / step);
      string[k] = 0.4985 * (string[k] + string[(k + wide) % string.length]);
    }
  }
  return out;
}

/** Filter the noise with the path from outside to the ear: direct sound and 3 ms of decaying reflections. @param {Float32Array} noise @param {number} rate */
function primaryPath(noise, rate) {
  const random = generator(11);
  const taps = Float32Array.from({ length: Math.round(0.003 * rate) },
    (_, k) => (k < 4 ? 0 : (k === 4 ? 0.8 : 0.25 * random()) * Math.exp((-5 * (k - 4)) / (0.003 * rate))));
  const out = new Float32Array(noise.length);
  for (let n = 0; n < out.length; n++) {
    let sum = 0;
    for (let k = 4; k < taps.length; k++) sum += taps[k] * noise[(n - k + out.length) % out.length];
    out[n] = sum;
  }
  return out;
}

/** Crossfade the end into the beginning, so that the loop has no discontinuity. @param {Float32Array} signal @param {number} rate */
function crossfadeLoop(signal, rate) {
  const seam = Math.round(0.1 * rate);
  for (let n = 0; n < seam; n++) {
    const rise = n / seam;
    const end = signal.length - seam + n;
    signal[end] = signal[end] * Math.sqrt(1 - rise) + signal[seam - 1 - n] * Math.sqrt(rise);
  }
}

/** @param {Float32Array} signal @param {number} hz @param {number} rate */
function lowPassed(signal, hz, rate) {
  const keep = Math.exp((-2 * Math.PI * hz) / rate);
  let last = 0;
  return signal.map((sample) => (last = sample + keep * (last - sample)));
}

/** Scale a signal in place. @param {Float32Array} signal @param {number} dbfs */
function scaled(signal, dbfs) {
  let sum = 0;
  for (const sample of signal) sum += sample * sample;
  const gain = 10 ** (dbfs / 20) / Math.sqrt(sum / signal.length);
  for (let n = 0; n < signal.length; n++) signal[n] *= gain;
  return signal;
}

/** @param {number} length @param {() => number} random */
function white(length, random) {
  return Float32Array.from({ length }, random);
}

/** Return a random number generator, uniform in [-1, 1), reproducible (mulberry32). @param {number} seed */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
