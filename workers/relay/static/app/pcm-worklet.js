/** Joins the blocks of an AudioContext into messages of PCM16 and posts each with its level. */

const SAMPLES = 1600; // 100 ms at 16 kHz

class Pcm extends AudioWorkletProcessor {
  #samples = new Int16Array(SAMPLES);
  #length = 0;
  #peak = 0;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#post();
      this.port.postMessage(null); // all audio is posted
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([[channel]]) {
    for (const sample of channel ?? new Float32Array(128)) {
      const value = Math.max(-1, Math.min(1, sample));
      this.#peak = Math.max(this.#peak, Math.abs(value));
      this.#samples[this.#length++] = value * 32767;
      if (this.#length === SAMPLES) this.#post();
    }
    return true;
  }

  #post() {
    const audio = this.#samples.slice(0, this.#length).buffer;
    this.port.postMessage({ audio, peak: this.#peak }, [audio]);
    this.#length = 0;
    this.#peak = 0;
  }
}

registerProcessor("pcm", Pcm);
