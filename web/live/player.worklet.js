/**
 * Plays pairs of blocks, before and after, and fades between them. It waits until `lead` samples are there, so that
 * blocks may come unevenly, and drops what makes it later than `most`.
 */
class Player extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    Object.assign(this, processorOptions); // lead, most
    this.queue = [];
    this.at = 0; // in the first block
    this.waiting = 0; // samples queued
    this.started = false;
    this.after = 1; // 0 plays before, 1 after
    this.afterWanted = 1;
    this.running = true;
    this.port.onmessage = ({ data }) => {
      if (data === "end") this.running = false;
      else if (typeof data === "number") this.afterWanted = data;
      else this.#take(data);
    };
  }

  #take(pair) {
    this.queue.push(pair);
    this.waiting += pair.before.length;
    if (this.waiting > this.most) {
      while (this.waiting > this.lead && this.queue.length > 1) this.#next();
    }
    if (this.waiting >= this.lead) this.started = true;
  }

  #next() {
    const gone = this.queue.shift();
    this.waiting -= gone.before.length - this.at;
    this.at = 0;
  }

  process(_, [output]) {
    const fade = 1 / (0.02 * sampleRate);
    for (let n = 0; n < output[0].length; n++) {
      if (this.queue.length === 0) this.started = false;
      let sample = 0;
      this.after += Math.max(-fade, Math.min(fade, this.afterWanted - this.after));
      if (this.started) {
        const { before, after } = this.queue[0];
        sample = before[this.at] * (1 - this.after) + after[this.at] * this.after;
        this.at += 1;
        this.waiting -= 1;
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
