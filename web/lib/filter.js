/** Control filters in the format of the shadow: float16, tap 0 first, base64. */
import { fft } from "./fft.js";

const POINTS = 2048;

/** @param {string} data @returns {Float32Array} */
export function decodeTaps(data) {
  const text = atob(data);
  return Float32Array.from({ length: text.length / 2 }, (_, k) =>
    float16(text.charCodeAt(2 * k) | (text.charCodeAt(2 * k + 1) << 8)));
}

/** @param {number} bits @returns {number} IEEE 754 binary16 */
export function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
}

/** @param {Float32Array} w @param {number} rate @returns {[number[], number[]]} Hz from 40 up, and gain in dB */
export function frequencyResponse(w, rate) {
  const re = new Float32Array(POINTS);
  const im = new Float32Array(POINTS);
  re.set(w);
  fft(re, im);
  const hz = [];
  const gain = [];
  for (let k = 1; k < POINTS / 2; k++) {
    if ((k * rate) / POINTS < 40) continue;
    hz.push((k * rate) / POINTS);
    gain.push(10 * Math.log10(re[k] ** 2 + im[k] ** 2 + 1e-12));
  }
  return [hz, gain];
}
