/** Where sound comes from: a scene, a file or the microphone, each as a node and what its channels are. */
import { sceneBuffer, sirenBuffer } from "./scene.js";

/**
 * @typedef {object} Source
 * @property {AudioNode} node
 * @property {number} channels  2: reference and primary; 1: one microphone
 * @property {boolean} knowsWanted  whether channel 2 is what the listener wants to keep
 * @property {() => void} stop
 */

/** @param {AudioContext} context @param {string} name @returns {Source} */
export function fromScene(context, name) {
  return { ...looped(context, sceneBuffer(context, name)), channels: 2, knowsWanted: true };
}

/** Add a siren to a running scene. */
export function passSiren(context, target) {
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
    throw new Error(`${file.name} is no sound that this browser can read. Try wav, flac, ogg or mp3.`);
  }
  return { ...looped(context, buffer), channels: Math.min(2, buffer.numberOfChannels), knowsWanted: false };
}

/**
 * One channel, or two that are two microphones: a laptop's pair hears the same, and would cancel the voice before it.
 * @param {AudioContext} context @param {1|2} channels @returns {Promise<Source>}
 */
export async function fromMicrophone(context, channels) {
  if (!navigator.mediaDevices) throw new Error("Browsers give the microphone only to https and to this machine itself.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: { ideal: channels }, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (fault) {
    throw new Error(fault.name === "NotAllowedError"
      ? "The microphone was refused. Allow it in the address bar, then try again."
      : `There is no microphone to be had (${fault.message}).`);
  }
  const [track] = stream.getAudioTracks();
  const stop = () => track.stop();
  if (channels > (track.getSettings().channelCount || channels)) {
    stop();
    throw new Error("This microphone has one channel. Choose one, or an input with two.");
  }
  return { node: context.createMediaStreamSource(stream), channels, knowsWanted: false, stop };
}

function looped(context, buffer) {
  const node = context.createBufferSource();
  node.buffer = buffer;
  node.loop = true;
  node.start();
  return { node, stop: () => node.stop() };
}
