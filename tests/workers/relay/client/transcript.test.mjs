import assert from "node:assert/strict";
import { test } from "node:test";
import { CallTranscript } from "../../../../workers/relay/static/callscribe.js";
import { Writer } from "./events.mjs";

/** Applies the events; returns the transcript. */
function fold(...events) {
  const transcript = new CallTranscript();
  events.forEach((event) => transcript.apply(event));
  return transcript;
}

const texts = (transcript) => transcript.segments.map(({ text, final }) => `${text}${final ? "." : "…"}`);

test("deltas are joined, and a final replaces them", () => {
  const w = new Writer();
  const transcript = fold(w.started(), w.delta("I'd", 0, 200), w.delta(" like", 200, 400));
  assert.deepEqual(texts(transcript), ["I'd like…"]);
  transcript.apply(w.final("I'd like to.", 0, 600));
  transcript.apply(w.delta(" late", 600, 700));
  assert.deepEqual(texts(transcript), ["I'd like to.."]);
  assert.deepEqual(transcript.latencies, [400, 400]);
});

test("a higher revision starts the segment over, and a lower one is ignored", () => {
  const w = new Writer();
  const transcript = fold(w.started(), w.delta("one", 0, 200), w.delta("won", 0, 250, { rev: 1 }), w.delta(" two", 200, 400));
  assert.deepEqual(texts(transcript), ["won…"]);
});

test("a repeated event is not applied", () => {
  const w = new Writer();
  const delta = w.delta("a", 0, 200); // n is 1
  const transcript = fold(delta);
  assert.equal(transcript.apply(delta), false);
  assert.deepEqual(texts(transcript), ["a…"]);
  assert.equal(transcript.events, 1);
});

test("holes in the numbers are counted", () => {
  const w = new Writer();
  const first = w.started();
  w.skip(3);
  assert.equal(fold(first, w.ended(10)).missing, 3);
});

test("a resumed stream continues its segments", () => {
  const w = new Writer();
  const before = [w.started(), w.delta("still", 0, 200)];
  w.epoch = 200;
  const lost = w.ended(200, "lost", { reason: "gateway-lost" });
  const transcript = fold(...before, lost);
  assert.deepEqual([transcript.over, transcript.status, transcript.reason], [true, "lost", "gateway-lost"]);
  w.epoch = 201;
  transcript.apply(w.started(40_000, { resumes: 100 }));
  transcript.apply(w.delta(" here", 200, 400));
  assert.deepEqual([transcript.over, transcript.status], [false, "live"]);
  assert.deepEqual(texts(transcript), ["still here…"]);
});

test("a stream that another gateway took over has new segments", () => {
  const w = new Writer();
  const before = [w.started(), w.final("before", 0, 200)];
  w.epoch = 200;
  const transcript = fold(...before, w.started(5000), w.final("after", 0, 200));
  assert.deepEqual(texts(transcript), ["before.", "after."]);
  assert.equal(transcript.segments[1].clock - transcript.segments[0].clock, 5000);
});

test("an older epoch is ignored", () => {
  const old = new Writer();
  const w = new Writer("MZ1", 200);
  assert.deepEqual(texts(fold(w.started(), w.final("new", 0, 200), old.started(), old.final("old", 0, 200))), ["new."]);
});

test("a call is over when all of its streams have ended", () => {
  const [a, b] = [new Writer("A"), new Writer("B")];
  const transcript = fold(a.started(), b.started(), a.ended(900));
  assert.equal(transcript.over, false);
  transcript.apply(b.ended(700, "failed", { reason: "socket-lost", gap_ms: 30 }));
  assert.deepEqual([transcript.status, transcript.reason, transcript.duration_ms, transcript.gap_ms], ["failed", "socket-lost", 900, 30]);
});

test("unknown types count as events", () => {
  const w = new Writer();
  const transcript = fold(w.started(), { ...w.dtmf(100), type: "stream.later" }, w.ended(200));
  assert.deepEqual([transcript.events, transcript.missing], [3, 0]);
});

test("segments of all tracks are in the order of time", () => {
  const w = new Writer();
  const agent = { track: "outbound", role: "agent" };
  const transcript = fold(w.started(), w.delta("b", 500, 900), w.final("a", 100, 400, agent), w.final("c", 1000, 1200, { ...agent, segment: 2 }));
  assert.deepEqual(texts(transcript), ["a.", "b…", "c."]);
});
