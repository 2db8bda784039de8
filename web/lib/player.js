/**
 * A player of a recording before and after filtering: waveforms and spectrograms with a playhead, and noise and alarms
 * on the time axis. It imports nothing, so that an HTML report embeds it as it is (`tools/report/player.py`).
 */

const WAVE_HEIGHT = 52; // CSS pixels
const SPECTRUM_HEIGHT = 84;
const STRIP_HEIGHT = 22; // of alarms, and of noise
const AXIS_HEIGHT = 20;
const GAP = 8;
const RANGE_DB = 70; // shown below the loudest band
const TICKS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const TICK_PX = 80; // at least
/** @type {[number, string][]} */
const TICKS_HZ = [[100, "100 Hz"], [1000, "1 kHz"], [5000, "5 kHz"]];
/** @type {Which[]} */
const CHANNELS = ["before", "after"];
const NAMES = { before: "Before", after: "After" };
const PALETTE = [[11, 18, 24], [18, 52, 74], [20, 104, 112], [88, 158, 106], [226, 176, 84], [255, 244, 214]];

/**
 * @typedef {"before" | "after"} Which
 * @typedef {{from_s: number, to_s: number, label: string}} Span
 * @typedef {{low: string, high: string, spectrum: string}} Channel  base64
 * @typedef {{seconds: number, column_s: number, bands: number, step_db: number, low_hz: number, high_hz: number,
 *   before: Channel, after?: Channel}} Overview
 * @typedef {{which: Which, low: number, high: number, covers: number, wave: Float32Array[], image: HTMLCanvasElement}} Lane
 * @typedef {{context: CanvasRenderingContext2D, width: number, colour: (name: string) => string, x: (seconds: number) => number}} Drawing
 *
 * @typedef {object} Content
 * @property {number} seconds
 * @property {{before?: string, after?: string}} sounds  addresses
 * @property {Overview | null} overview  `overview.json` of a recording; null: a player without pictures
 * @property {Span[]} noise
 * @property {Span[]} alarms
 * @property {number} [position]  in seconds, to begin at
 */

export class Player {
  /** @param {HTMLElement} container  empty, attached to the document @param {Content} content */
  constructor(container, content) {
    this.content = content;
    this.position = Math.max(0, Math.min(content.position ?? 0, content.seconds));
    this.lanes = content.overview ? lanesOf(content.overview) : [];
    /** @type {Which} */
    this.which = content.sounds.after ? "after" : "before";
    /** @type {{before?: HTMLAudioElement, after?: HTMLAudioElement}} */
    this.audio = {};
    this.root = element(container, "div", "player");
    const bar = element(this.root, "div", "player-bar");
    this.playButton = content.sounds[this.which] ? element(bar, "button", "primary") : null;
    this.switchButton = content.sounds.before && content.sounds.after ? element(bar, "button") : null;
    this.clock = element(bar, "output", "player-clock");
    this.message = element(this.root, "p", "player-message");
    this.stage = element(this.root, "div", "player-stage");
    this.canvas = element(this.stage, "canvas");
    this.head = element(this.stage, "i");
    this.#load();
    this.#describe();
    this.#listen();
    this.resized = new ResizeObserver(() => this.#draw());
    this.resized.observe(this.stage);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.#draw();
    this.dark.addEventListener("change", this.redraw);
    addEventListener("themechange", this.redraw);
    this.#show();
  }

  destroy() {
    this.resized.disconnect();
    this.dark.removeEventListener("change", this.redraw);
    removeEventListener("themechange", this.redraw);
    for (const audio of Object.values(this.audio)) {
      audio.pause();
      audio.removeAttribute("src"); // ends its download
    }
    this.root.remove();
  }

  /** Move to a position. @param {number} seconds */
  seek(seconds) {
    this.position = Math.max(0, Math.min(seconds, this.content.seconds));
    const audio = this.audio[this.which];
    if (audio) audio.currentTime = this.position;
    this.#show();
  }

  async toggle() {
    const audio = this.audio[this.which];
    if (!audio) return undefined;
    if (!audio.paused) return audio.pause();
    if (this.position >= this.content.seconds - 0.05) this.position = 0;
    return this.#play();
  }

  /** Continue with the other sound at the same position. */
  switch() {
    const from = this.audio[this.which];
    if (!from) return;
    const isPlaying = !from.paused;
    if (isPlaying) this.position = from.currentTime;
    this.which = this.which === "before" ? "after" : "before";
    if (isPlaying) this.#play().then(() => from.pause());
    this.#show();
  }

  async #play() {
    const audio = this.audio[this.which];
    if (!audio) return;
    audio.currentTime = this.position;
    try {
      await audio.play();
    } catch (failure) {
      if (failure.name !== "AbortError") this.#fail(); // paused before it began
    }
  }

  #fail() {
    this.message.textContent = "The sound cannot be loaded. Links to it expire; reload the page to get new ones.";
  }

  #load() {
    for (const which of CHANNELS) {
      const address = this.content.sounds[which];
      if (!address) continue;
      const audio = (this.audio[which] = new Audio());
      audio.preload = "none";
      audio.src = address;
      audio.addEventListener("error", () => this.#fail());
      audio.addEventListener("play", () => this.#follow());
      for (const event of ["pause", "ended"]) audio.addEventListener(event, () => this.#show());
    }
  }

  #describe() {
    this.message.setAttribute("role", "alert");
    this.canvas.setAttribute("aria-hidden", "true");
    const attributes = { role: "slider", tabindex: 0, "aria-label": "Position in the recording", "aria-valuemin": 0, "aria-valuemax": this.content.seconds };
    for (const [name, value] of Object.entries(attributes)) this.stage.setAttribute(name, String(value));
  }

  #listen() {
    const { stage } = this;
    this.playButton?.addEventListener("click", () => this.toggle());
    this.switchButton?.addEventListener("click", () => this.switch());
    const toPointer = (/** @type {PointerEvent} */ event) => {
      const { left, width } = stage.getBoundingClientRect();
      this.seek(((event.clientX - left) / width) * this.content.seconds);
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      stage.setPointerCapture(event.pointerId);
      toPointer(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) toPointer(event);
    });
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const action = this.#keys()[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
  }

  /** @returns {Record<string, () => void>} */
  #keys() {
    const { seconds } = this.content;
    const step = Math.max(0.1, Math.min(seconds / 100, 30));
    const by = (/** @type {number} */ steps) => () => this.seek(this.position + steps * step);
    return {
      ArrowLeft: by(-1), ArrowDown: by(-1), ArrowRight: by(1), ArrowUp: by(1), PageDown: by(-10), PageUp: by(10),
      Home: () => this.seek(0), End: () => this.seek(seconds),
      ...(this.playButton && { " ": () => this.toggle() }), ...(this.switchButton && { b: () => this.switch() }),
    };
  }

  /** Move the playhead with the sound until it is paused. */
  #follow() {
    const audio = this.audio[this.which];
    if (!audio || audio.paused || !this.root.isConnected) return;
    this.position = Math.min(audio.currentTime, this.content.seconds);
    this.#show();
    requestAnimationFrame(() => this.#follow());
  }

  #show() {
    const { seconds } = this.content;
    const playing = this.audio[this.which]?.paused === false;
    if (this.playButton) setText(this.playButton, playing ? "Pause" : "Play");
    if (this.switchButton) {
      setText(this.switchButton, `Switch to ${this.which === "before" ? "after" : "before"}`);
      this.root.dataset.sound = this.which;
    }
    setText(this.clock, `${time(this.position, seconds)} of ${time(seconds, seconds)}${this.switchButton ? `, ${this.which}` : ""}`);
    this.head.style.left = `${(100 * this.position) / (seconds || 1)}%`;
    const text = [this.clock.textContent, ...this.#heardAt(this.position)].join(", ");
    if (this.stage.getAttribute("aria-valuetext") !== text) {
      this.stage.setAttribute("aria-valuetext", text);
      this.stage.setAttribute("aria-valuenow", this.position.toFixed(1));
    }
  }

  /** @param {number} position */
  #heardAt(position) {
    const { noise, alarms } = this.content;
    return [...noise, ...alarms].filter((span) => span.from_s <= position && position < span.to_s).map((span) => span.label);
  }

  #draw() {
    const { stage, canvas, lanes, content } = this;
    const width = stage.clientWidth;
    const strips = (content.alarms.length ? STRIP_HEIGHT : 0) + (content.noise.length ? STRIP_HEIGHT : 0);
    const height = strips + lanes.length * (WAVE_HEIGHT + SPECTRUM_HEIGHT + GAP) + AXIS_HEIGHT;
    const density = devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(width * density), height: Math.round(height * density) });
    canvas.style.height = `${height}px`;
    const context = contextOf(canvas);
    context.scale(density, density);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    /** @type {Map<string, string>} */
    const colours = new Map();
    const colour = (/** @type {string} */ name) => {
      const known = colours.get(name) ?? colourOf(stage, name);
      colours.set(name, known);
      return known;
    };
    /** @type {Drawing} */
    const draw = { context, width, colour, x: (seconds) => (width * seconds) / (content.seconds || 1) };
    let top = 0;
    if (content.alarms.length) top = strip(draw, top, content.alarms, "alarm");
    const lanesTop = top;
    for (const lane of lanes) top = drawLane(draw, top, lane, lanes.length > 1 ? NAMES[lane.which] : "");
    for (const span of content.alarms) shade(draw, span, lanesTop, top - lanesTop);
    if (content.noise.length) top = strip(draw, top, content.noise, "noise");
    axis(draw, top, content.seconds);
  }
}

/** Return what is drawn of each channel: its samples scaled to the largest before filtering, and its image. @param {Overview} overview @returns {Lane[]} */
function lanesOf(overview) {
  const decoded = CHANNELS.flatMap((which) => {
    const channel = overview[which];
    if (!channel) return [];
    const edges = [channel.low, channel.high].map((edge) => new Int16Array(bytesOf(edge).buffer));
    return [{ which, edges, spectrum: bytesOf(channel.spectrum) }];
  });
  const [{ edges: largest, spectrum: before }] = decoded;
  const peak = largest.reduce((max, edge) => edge.reduce((most, sample) => Math.max(most, Math.abs(sample)), max), 1);
  const loudest = before.reduce((most, level) => Math.max(most, level), 0);
  const { bands, step_db: step, low_hz: low, high_hz: high } = overview;
  return decoded.map(({ which, edges, spectrum }) => ({
    which, low, high, covers: (edges[0].length * overview.column_s) / (overview.seconds || 1),
    wave: edges.map((edge) => Float32Array.from(edge, (sample) => sample / peak)),
    image: imageOf(spectrum, bands, loudest, step),
  }));
}

/** @param {Uint8Array} spectrum @param {number} bands @param {number} loudest @param {number} step  in dB */
function imageOf(spectrum, bands, loudest, step) {
  const columns = Math.max(1, spectrum.length / bands);
  const image = new ImageData(columns, bands);
  for (let at = 0; at < spectrum.length; at++) {
    const [column, band] = [Math.floor(at / bands), at % bands];
    const share = Math.max(0, Math.min(1, 1 + ((spectrum[at] - loudest) * step) / RANGE_DB));
    image.data.set([...shadeOf(share), 255], 4 * ((bands - 1 - band) * columns + column));
  }
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: bands });
  contextOf(canvas).putImageData(image, 0, 0);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/** Return the colour of a level between 0 and 1, the same in light and dark mode. @param {number} share */
function shadeOf(share) {
  const at = share * (PALETTE.length - 1);
  const k = Math.min(PALETTE.length - 2, Math.floor(at));
  return PALETTE[k].map((value, i) => Math.round(value + (at - k) * (PALETTE[k + 1][i] - value)));
}

/** @param {Drawing} drawing @param {number} top @param {Lane} lane @param {string} name @returns {number} its bottom */
function drawLane({ context, width, colour }, top, { which, wave: [low, high], covers, image, low: lowHz, high: highHz }, name) {
  const middle = top + WAVE_HEIGHT / 2;
  const step = (width * covers) / low.length; // the last column may reach beyond the end
  const y = (/** @type {number} */ sample) => middle - sample * (WAVE_HEIGHT / 2 - 2);
  context.fillStyle = colour(`--player-${which}`);
  for (let k = 0; k < low.length; k++) context.fillRect(k * step, y(high[k]), Math.max(step, 1), Math.max(1, y(low[k]) - y(high[k])));
  if (name) label(context, colour, name, 4, top + 9);
  const bottom = top + WAVE_HEIGHT + SPECTRUM_HEIGHT;
  context.save();
  context.beginPath();
  context.rect(0, top + WAVE_HEIGHT, width, SPECTRUM_HEIGHT);
  context.clip();
  context.drawImage(image, 0, top + WAVE_HEIGHT, width * covers, SPECTRUM_HEIGHT);
  context.restore();
  for (const [hz, text] of TICKS_HZ) {
    if (hz > highHz) continue;
    const at = bottom - (Math.log(hz / lowHz) / Math.log(highHz / lowHz)) * SPECTRUM_HEIGHT;
    context.fillStyle = "rgb(11 18 24 / .6)";
    context.fillRect(0, at - 7, context.measureText(text).width + 8, 14);
    context.fillStyle = "rgb(226 232 234)";
    context.fillText(text, 4, at);
  }
  return bottom + GAP;
}

/** Draw spans with their labels, where these fit. @param {Drawing} drawing @param {number} top @param {Span[]} spans @param {"alarm" | "noise"} kind */
function strip({ context, colour, x }, top, spans, kind) {
  for (const [k, span] of spans.entries()) {
    const [from, to] = [x(span.from_s), Math.max(x(span.to_s), x(span.from_s) + 3)];
    context.fillStyle = colour(kind === "alarm" ? "--player-alarm" : k % 2 ? "--player-line" : "--player-sunken");
    context.fillRect(from, top + 2, to - from, STRIP_HEIGHT - 6);
    context.fillStyle = colour(kind === "alarm" ? "--player-on-alarm" : "--player-ink");
    if (context.measureText(span.label).width + 10 < to - from) context.fillText(span.label, from + 5, top + STRIP_HEIGHT / 2 - 1);
  }
  return top + STRIP_HEIGHT;
}

/** @param {Drawing} drawing @param {Span} span @param {number} top @param {number} height */
function shade({ context, colour, x }, { from_s: from, to_s: to }, top, height) {
  context.globalAlpha = 0.22;
  context.fillStyle = colour("--player-alarm");
  context.fillRect(x(from), top, Math.max(3, x(to) - x(from)), height - GAP);
  context.globalAlpha = 1;
}

/** @param {Drawing} drawing @param {number} top @param {number} seconds */
function axis({ context, width, colour, x }, top, seconds) {
  const step = TICKS_S.find((tick) => x(tick) >= TICK_PX) ?? TICKS_S[TICKS_S.length - 1];
  context.fillStyle = colour("--player-soft");
  for (let k = 0; k * step <= seconds; k++) {
    const text = time(k * step, step < 1 ? seconds : Infinity);
    const at = x(k * step);
    context.fillRect(Math.min(at, width - 1), top, 1, 4);
    if (at + context.measureText(text).width + 3 < width) context.fillText(text, at + 3, top + 11);
  }
}

/** @param {Drawing["context"]} context @param {Drawing["colour"]} colour @param {string} text @param {number} left @param {number} y */
function label(context, colour, text, left, y) {
  context.fillStyle = colour("--player-card");
  context.globalAlpha = 0.8;
  context.fillRect(left - 4, y - 8, context.measureText(text).width + 8, 16);
  context.globalAlpha = 1;
  context.fillStyle = colour("--player-ink");
  context.fillText(text, left, y);
}

/** Return a time as m:ss or h:mm:ss, with tenths in recordings of less than a minute. @param {number} position @param {number} seconds */
function time(position, seconds) {
  const tenths = Math.round(10 * position);
  const whole = Math.floor(tenths / 10);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}:${two(m)}` : m}:${two(s)}${seconds < 60 ? `.${tenths % 10}` : ""}`;
}

/** @param {string} text  base64 */
function bytesOf(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * @template {keyof HTMLElementTagNameMap} N
 * @param {HTMLElement} parent @param {N} name @param {string} [className] @returns {HTMLElementTagNameMap[N]}
 */
function element(parent, name, className = "") {
  const made = document.createElement(name);
  if (made instanceof HTMLButtonElement) made.type = "button";
  made.className = className;
  return parent.appendChild(made);
}

/** @param {Node} node @param {string} text */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text; // an unchanged text is not announced again
}

/** Return the value of a CSS custom property in the current theme. @param {HTMLElement} node @param {string} name */
function colourOf(node, name) {
  node.style.color = `var(${name})`;
  const { color } = getComputedStyle(node);
  node.style.color = "";
  return color;
}
