/** Audio sources: a scene, a file or the microphone. */
import { sceneBuffer, sirenBuffer } from "./scene.js";

/**
 * @typedef {object} Source
 * @property {AudioNode} node
 * @property {number} channels  2: reference and primary; 1: one microphone
 * @property {boolean} hasTarget  whether channel 2 is the target signal, which must not be removed
 * @property {() => void} stop
 */

/** @param {AudioContext} context @param {import("./scene.js").Scene} name @returns {Source} */
export function fromScene(context, name) {
  return { ...looped(context, sceneBuffer(context, name)), channels: 2, hasTarget: true };
}

/** Add a siren to a running scene. @param {BaseAudioContext} context @param {AudioNode} target */
export function addSiren(context, target) {
  const siren = context.createBufferSource();
  siren.buffer = sirenBuffer(context);
  siren.connect(target);
  siren.start();
  return siren;
}

/** @param {AudioContext} context @param {File} file @returns {Promise<Source>} */
export async function fromFile(context, file) {
  let buffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} cannot be decoded by this browser. Try WAV, FLAC, Ogg or MP3.`);
  }
  return { ...looped(context, buffer), channels: Math.min(2, buffer.numberOfChannels), hasTarget: false };
}

/**
 * Open one microphone, or an input with two. The two microphones of a laptop record the same signal, so the filter
 * would remove the user's voice.
 * @param {AudioContext} context @param {1|2} channels @returns {Promise<Source>}
 */
export async function fromMicrophone(context, channels) {
  if (!navigator.mediaDevices) throw new Error("Browsers allow access to the microphone only over HTTPS or on localhost.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: { ideal: channels }, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (failure) {
    throw new Error(failure.name === "NotAllowedError"
      ? "Access to the microphone was denied. Allow it in the address bar, then try again."
      : `No microphone is available (${failure.message}).`);
  }
  const [track] = stream.getAudioTracks();
  const stop = () => track.stop();
  if (channels > (track.getSettings().channelCount || channels)) {
    stop();
    throw new Error("This microphone has one channel. Choose One, or use an input with two channels.");
  }
  return { node: context.createMediaStreamSource(stream), channels, hasTarget: false, stop };
}

/** @param {BaseAudioContext} context @param {AudioBuffer} buffer */
function looped(context, buffer) {
  const node = context.createBufferSource();
  node.buffer = buffer;
  node.loop = true;
  node.start();
  return { node, stop: () => node.stop() };
}
