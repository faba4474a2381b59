// Sound as the server takes and gives it: PCM16, little-endian, mono.

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Int16Array(sampleRate / 50); // 20 ms
    this.filled = 0;
  }

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.samples[this.filled++] = 32767 * Math.max(-1, Math.min(1, sample));
      if (this.filled === this.samples.length) {
        this.port.postMessage(this.samples.buffer, [this.samples.buffer]);
        this.samples = new Int16Array(sampleRate / 50);
        this.filled = 0;
      }
    }
    return true;
  }
}

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunks = [];
    this.position = 0; // in the first of them
    this.playing = false;
    this.port.onmessage = ({ data }) => {
      if (data === "clear") {
        this.chunks = [];
        this.position = 0;
      } else if (data.byteLength) {
        this.chunks.push(new Int16Array(data));
      }
    };
  }

  process(_, [[output]]) {
    const playing = this.chunks.length > 0;
    for (let i = 0; i < output.length && this.chunks.length; i++) {
      output[i] = this.chunks[0][this.position++] / 32768;
      if (this.position === this.chunks[0].length) {
        this.chunks.shift();
        this.position = 0;
      }
    }
    if (playing !== this.playing) {
      this.playing = playing;
      this.port.postMessage(playing);
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
registerProcessor("player", Player);
