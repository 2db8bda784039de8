/**
 * Plays pairs of blocks, before and after, and crossfades between them. A jitter buffer starts playback at `min`
 * samples and drops the oldest blocks above `max`.
 */
class Player extends AudioWorkletProcessor {
  /** @param {{processorOptions: {min: number, max: number}}} options */
  constructor({ processorOptions: { min, max } }) {
    super();
    this.min = min;
    this.max = max;
    /** @type {{before: Float32Array, after: Float32Array}[]} */
    this.queue = [];
    this.at = 0; // position in the first block
    this.queued = 0; // samples
    this.started = false;
    this.mix = 1; // 0: before, 1: after
    this.targetMix = 1;
    this.running = true;
    this.port.onmessage = ({ data }) => {
      if (data === "end") this.running = false;
      else if (typeof data === "number") this.targetMix = data;
      else this.#push(data);
    };
  }

  /** @param {{before: Float32Array, after: Float32Array}} pair */
  #push(pair) {
    this.queue.push(pair);
    this.queued += pair.before.length;
    if (this.queued > this.max) {
      while (this.queued > this.min && this.queue.length > 1) this.#drop();
    }
    if (this.queued >= this.min) this.started = true;
  }

  #drop() {
    const dropped = this.queue.shift();
    if (!dropped) return;
    this.queued -= dropped.before.length - this.at;
    this.at = 0;
  }

  /** @param {Float32Array[][]} _ @param {Float32Array[][]} outputs */
  process(_, [output]) {
    const fade = 1 / (0.02 * sampleRate);
    for (let n = 0; n < output[0].length; n++) {
      if (this.queue.length === 0) this.started = false;
      let sample = 0;
      this.mix += Math.max(-fade, Math.min(fade, this.targetMix - this.mix));
      if (this.started) {
        const { before, after } = this.queue[0];
        sample = before[this.at] * (1 - this.mix) + after[this.at] * this.mix;
        this.at += 1;
        this.queued -= 1;
        if (this.at === before.length) {
          this.queue.shift();
          this.at = 0;
        }
      }
      for (const channel of output) channel[n] = sample;
    }
    return this.running;
  }
}
registerProcessor("player", Player);
