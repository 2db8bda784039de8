/** A scrolling spectrogram: time to the right, frequency upwards on a logarithmic axis, level as colour. */
import { fft } from "../lib/fft.js";

const FFT_SIZE = 2048; // 43 ms at 48 kHz
const COLUMNS_PER_S = 20;
const LOW_HZ = 50;
const HIGH_HZ = 8000;
const FLOOR_DB = -98;
const CEILING_DB = -24;
const DENSITY = 2; // canvas pixels per CSS pixel
const LABELS_WIDTH = 34 * DENSITY;
const BACKGROUND = "rgb(11 18 24)";
const TICKS = [100, 300, 1000, 3000];

export class Spectrogram {
  /** @param {HTMLCanvasElement} canvas attached to the document */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.window = Float32Array.from({ length: FFT_SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FFT_SIZE));
    this.colours = palette();
    this.past = new Float32Array(FFT_SIZE);
    this.pending = 0;
    this.fit();
  }

  /** Adopt the layout size of the canvas, for example after a phone is rotated, and keep the content. */
  fit() {
    const { canvas, context } = this;
    const [width, height] = [DENSITY * canvas.clientWidth, DENSITY * canvas.clientHeight];
    if (canvas.width === width && canvas.height === height) return;
    const drawn = new OffscreenCanvas(canvas.width, canvas.height);
    const from = Math.max(LABELS_WIDTH, canvas.width - width);
    const kept = width > LABELS_WIDTH && height > 0 && drawn.height > 0 ? drawn.width - from : 0;
    if (kept > 0) drawn.getContext("2d")?.drawImage(canvas, 0, 0);
    Object.assign(canvas, { width, height });
    this.#clearCanvas();
    if (kept > 0) context.drawImage(drawn, from, 0, kept, drawn.height, width - kept, 0, kept, height);
    this.#axis();
  }

  clear() {
    this.past.fill(0);
    this.pending = 0;
    this.#clearCanvas();
    this.#axis();
  }

  #clearCanvas() {
    this.context.fillStyle = BACKGROUND;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** @param {Float32Array} signal @param {number} rate */
  draw(signal, rate) {
    const hop = Math.round(rate / COLUMNS_PER_S);
    for (let at = 0; at < signal.length;) {
      const step = Math.min(hop - this.pending, signal.length - at);
      const fresh = signal.subarray(Math.max(at, at + step - FFT_SIZE), at + step);
      this.past.copyWithin(0, fresh.length);
      this.past.set(fresh, FFT_SIZE - fresh.length);
      this.pending += step;
      at += step;
      if (this.pending === hop) {
        this.pending = 0;
        this.#column(rate);
      }
    }
  }

  /** @param {number} rate */
  #column(rate) {
    const { canvas, context } = this;
    if (!canvas.width || !canvas.height) return; // the page is being replaced by another one
    const width = 2;
    context.drawImage(canvas, width, 0, canvas.width - width, canvas.height, 0, 0, canvas.width - width, canvas.height);
    const re = this.past.map((sample, n) => sample * this.window[n]);
    const im = new Float32Array(FFT_SIZE);
    fft(re, im);
    const column = context.createImageData(width, canvas.height);
    for (let row = 0; row < canvas.height; row++) {
      const hz = HIGH_HZ * (LOW_HZ / HIGH_HZ) ** (row / (canvas.height - 1));
      const from = Math.floor((hz * FFT_SIZE) / rate);
      const to = Math.max(from, Math.floor((hz * (HIGH_HZ / LOW_HZ) ** (1 / canvas.height) * FFT_SIZE) / rate));
      let peak = 0;
      for (let k = from; k <= to && k < FFT_SIZE / 2; k++) peak = Math.max(peak, re[k] ** 2 + im[k] ** 2);
      const level = 10 * Math.log10(peak / (FFT_SIZE / 4) ** 2 + 1e-14);
      const share = Math.max(0, Math.min(1, (level - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
      const colour = this.colours.subarray(4 * Math.round(255 * share));
      for (let i = 0; i < width; i++) column.data.set(colour.subarray(0, 4), 4 * (row * width + i));
    }
    context.putImageData(column, canvas.width - width, 0);
    this.#axis();
  }

  #axis() {
    const { canvas, context } = this;
    context.font = `${11 * DENSITY}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    for (const hz of TICKS) {
      const y = (Math.log(HIGH_HZ / hz) / Math.log(HIGH_HZ / LOW_HZ)) * canvas.height;
      // Clear the area of the label, because the content below has scrolled.
      context.fillStyle = BACKGROUND;
      context.fillRect(0, y - 8 * DENSITY, LABELS_WIDTH, 16 * DENSITY);
      context.fillStyle = "rgb(196 206 210)";
      context.fillText(hz < 1000 ? String(hz) : `${hz / 1000} k`, 6 * DENSITY, y);
    }
  }
}

/** Return 256 RGBA colours from dark blue over teal and amber to white, with evenly increasing lightness. */
function palette() {
  const stops = [[11, 18, 24], [18, 52, 74], [20, 104, 112], [88, 158, 106], [226, 176, 84], [255, 244, 214]];
  const colours = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1);
    const k = Math.min(stops.length - 2, Math.floor(at));
    for (let c = 0; c < 3; c++) colours[4 * i + c] = stops[k][c] + (at - k) * (stops[k + 1][c] - stops[k][c]);
    colours[4 * i + 3] = 255;
  }
  return colours;
}
