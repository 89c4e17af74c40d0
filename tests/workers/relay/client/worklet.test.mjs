import assert from "node:assert/strict";
import { test } from "node:test";

let Pcm;
globalThis.AudioWorkletProcessor = class {
  port = { posted: [], postMessage: (message) => this.port.posted.push(message) };
};
globalThis.registerProcessor = (_, processor) => (Pcm = processor);
await import("../../../../workers/relay/static/app/pcm-worklet.js");

const block = (value) => new Float32Array(128).fill(value);

/** Processes blocks and stops; returns the samples and the messages. */
function record(...blocks) {
  const pcm = new Pcm();
  for (const each of blocks) assert.equal(pcm.process([each ? [each] : []]), true);
  pcm.port.onmessage({ data: "stop" });
  const messages = pcm.port.posted;
  assert.equal(messages.at(-1), null);
  return { messages, samples: messages.slice(0, -1).flatMap(({ audio }) => [...new Int16Array(audio)]) };
}

test("blocks are joined into messages of 100 ms, and the rest is sent at the stop", () => {
  const ramp = Array.from({ length: 30 }, (_, at) => block(at / 100));
  const { messages, samples } = record(...ramp);
  assert.deepEqual(messages.slice(0, -1).map(({ audio }) => audio.byteLength), [3200, 3200, 2 * (30 * 128 - 3200)]);
  assert.deepEqual(samples, ramp.flatMap((each) => [...each].map((value) => Math.trunc(value * 32767))));
});

test("loud audio is clipped, and a muted input is silence", () => {
  const { messages, samples } = record(block(2), block(-2), undefined);
  assert.deepEqual([samples[0], samples[128], samples[256], samples.length], [32767, -32767, 0, 384]);
  assert.equal(messages[0].peak, 1);
});

test("each message has the level of its own audio", () => {
  const { messages } = record(...Array(12).fill(block(-0.5)), block(0.25), ...Array(13).fill(block(0.125)));
  assert.deepEqual(messages.slice(0, -1).map(({ peak }) => peak), [0.5, 0.25, 0.125]);
});
