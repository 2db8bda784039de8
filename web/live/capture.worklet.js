/** Collects the input into blocks of `block` samples and posts each as one array per channel. */
class Capture extends AudioWorkletProcessor {
  /** @param {{processorOptions: {block: number, channels: number}}} options */
  constructor({ processorOptions }) {
    super();
    this.at = 0;
    /** @type {Float32Array<ArrayBuffer>[]} */
    this.signals = [];
    this.block = processorOptions.block;
    this.channels = processorOptions.channels;
    this.running = true;
    this.port.onmessage = () => { this.running = false; };
    this.#newBlock();
  }

  #newBlock() {
    this.at = 0;
    this.signals = Array.from({ length: this.channels }, () => new Float32Array(this.block));
  }

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    const length = input[0]?.length ?? 0;
    for (let n = 0; n < length; n++) {
      for (let c = 0; c < this.channels; c++) this.signals[c][this.at] = input[c]?.[n] ?? 0;
      this.at += 1;
      if (this.at === this.block) {
        this.port.postMessage(this.signals, this.signals.map((signal) => signal.buffer));
        this.#newBlock();
      }
    }
    return this.running;
  }
}
registerProcessor("capture", Capture);
