/** Record the microphone to a file that the platform reads. */
const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
/** @type {Record<string, string>} */
const SUFFIXES = { "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" };
const BIT_RATE = 128_000;

/**
 * Start a recording.
 * @returns {Promise<{stop: () => Promise<File>}>} `stop` ends it and returns the file
 */
export async function record() {
  if (!navigator.mediaDevices || !window.MediaRecorder) throw new Error("This browser cannot record here. Browsers allow access to the microphone only over HTTPS or on localhost.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (failure) {
    throw new Error(failure.name === "NotAllowedError"
      ? "Access to the microphone was denied. Allow it in the address bar, then try again."
      : `No microphone is available (${failure.message}).`);
  }
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BIT_RATE });
  /** @type {Blob[]} */
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start(1000); // a part per second, so that memory holds no more than is recorded
  const stop = () => new Promise((resolve) => {
    recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      const type = recorder.mimeType.split(";")[0];
      const name = `Recording ${new Date().toISOString().slice(0, 19).replaceAll(":", ".")}.${SUFFIXES[type] ?? "webm"}`;
      resolve(new File(parts, name, { type }));
    };
    recorder.stop();
  });
  return { stop };
}
