/** PCM in WebSocket frames: int16 little-endian, channels interleaved, base64. */

/** @param {Float32Array[]} channels of equal length, full scale 1 @returns {string} */
export function encodePcm(channels) {
  const length = channels[0].length;
  const view = new DataView(new ArrayBuffer(2 * length * channels.length));
  let at = 0;
  for (let n = 0; n < length; n++) {
    for (const channel of channels) {
      view.setInt16(at, toInt16(channel[n]), true);
      at += 2;
    }
  }
  const bytes = new Uint8Array(view.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** @param {string} pcm @returns {Float32Array} one channel */
export function decodePcm(pcm) {
  const text = atob(pcm);
  const samples = new Float32Array(text.length / 2);
  for (let n = 0; n < samples.length; n++) {
    const unsigned = text.charCodeAt(2 * n) | (text.charCodeAt(2 * n + 1) << 8);
    samples[n] = (unsigned > 32767 ? unsigned - 65536 : unsigned) / 32768;
  }
  return samples;
}

/** @param {number} sample */
function toInt16(sample) {
  return Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
}

/** Mean power. @param {Float32Array} signal @returns {number} */
export function power(signal) {
  let sum = 0;
  for (const sample of signal) sum += sample * sample;
  return sum / signal.length;
}

/** @param {number} ratio @returns {number} a power ratio in dB, or a power in dBFS; at least -120 */
export function dB(ratio) {
  return Math.max(-120, 10 * Math.log10(ratio + 1e-12));
}
