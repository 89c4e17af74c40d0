import assert from "node:assert/strict";
import { test } from "node:test";
import { CallView, asText } from "../../../../workers/relay/static/app/call-view.js";
import { clock, completeness, percentile, span } from "../../../../workers/relay/static/app/words.js";
import { peaks, roundUp, ticks } from "../../../../workers/relay/static/app/scale.js";
import { Writer } from "./events.mjs";

/** Applies the events; returns the view. */
function show(...events) {
  const view = new CallView();
  events.forEach((event) => view.apply(event));
  return view;
}

const lines = (view) => asText(view, clock).trimEnd().split("\n");

test("marks and utterances are in the order of time", () => {
  const w = new Writer();
  const agent = { track: "outbound", role: "agent", text: "Good morning." };
  const view = show(
    w.started(), w.delta("Hello", 2000, 2500), w.final("", 500, 1500, agent), w.gap(1600, 1900, "carrier_loss"),
    w.dtmf(5000), w.dtmf(5100), w.final("Hello there.", 2000, 3000), w.ended(9000), { type: "end", events: 8, missing: 0 },
  );
  assert.deepEqual(lines(view), [
    "[0:00] (Started (twilio))",
    "[0:00] Agent: Good morning.",
    "[0:01] (Customer: 300 ms of audio without words (lost by the carrier))",
    "[0:02] Customer: Hello there.",
    "[0:05] (key pressed ×2)",
    "[0:09] (Ended: Completed)",
  ]);
  assert.deepEqual([...view.talk], [["Customer", { role: "customer", ms: 1000 }], ["Agent", { role: "agent", ms: 1000 }]]);
  assert.deepEqual(view.end, { events: 8, missing: 0 });
});

test("only finals are returned, to be announced", () => {
  const w = new Writer();
  const view = new CallView();
  const found = [w.started(), w.delta("Hel", 0, 200), w.final("Hello", 0, 400), w.ended(900)].map((event) => view.apply(event)?.segment.text);
  assert.deepEqual(found, [undefined, undefined, "Hello", undefined]);
});

test("an event changes the version of its own item only", () => {
  const w = new Writer();
  const view = show(w.started(), w.final("one", 0, 400), w.delta("two", 500, 700, { segment: 2 }));
  const before = view.items.map(({ key, version }) => [key, version]);
  view.apply(w.delta(" more", 700, 900, { segment: 2 }));
  const changed = view.items.filter(({ key, version }) => version !== new Map(before).get(key));
  assert.deepEqual(changed.map(({ segment }) => segment.text), ["two more"]);
});

test("a revision that starts earlier moves its utterance, and its talk time is counted once", () => {
  const w = new Writer();
  const agent = { track: "outbound", role: "agent" };
  const view = show(w.started(), w.final("Yes?", 1000, 1400, agent), w.delta("I", 1200, 1500), w.delta("I am", 800, 1500, { rev: 1 }));
  assert.deepEqual(lines(view).slice(1), ["[0:00] Customer: I am", "[0:01] Agent: Yes?"]);
  assert.equal(view.talk.get("Customer").ms, 700);
  assert.deepEqual(view.items.find(({ speaker }) => speaker === "Customer").tags, ["reconnected"]);
});

test("a takeover, a resumption, a hole and a wrong encoding are marked", () => {
  const w = new Writer();
  const view = show(w.started());
  w.epoch = 200;
  view.apply(w.ended(1000, "lost", { reason: "gateway-lost" }));
  w.epoch = 201;
  view.apply(w.started(2000, { resumes: 100 }));
  view.apply({ type: "hole", stream_id: "MZ1", epoch: 201, first: 2, last: 3 });
  w.epoch = 300;
  view.apply(w.started(3000));
  view.apply(w.ended(4000, "completed", { suspected_encoding: { inbound: "pcma" } }));
  assert.deepEqual(lines(view), [
    "[0:00] (Started (twilio))",
    "[0:01] (Ended: Lost (gateway-lost))",
    "[0:02] (The lost stream was resumed)",
    "[0:02] (2 events missing: words may be missing here)",
    "[0:03] (Another gateway took the stream over)",
    "[0:04] (Ended: Completed)",
    "[0:04] (The audio of inbound is really pcma: its transcript is worthless)",
  ]);
});

test("numbers are shown with their units", () => {
  assert.deepEqual([0, 65_000, 3_665_999, -5].map(clock), ["0:00", "1:05", "1:01:05", "0:00"]);
  assert.deepEqual([0, 480.4, 999, 1234, 75_000].map(span), ["0 ms", "480 ms", "999 ms", "1.2 s", "1:15"]);
  assert.equal(completeness({ events: 412, missing: 0 }), "Complete: 412 events, none missing.");
  assert.match(completeness({ events: 1999, missing: 1 }), /^Incomplete: 1 event of 2,000 missing/);
});

test("percentiles ignore the order; without values there is none", () => {
  assert.deepEqual([0, 0.5, 1].map((share) => percentile([300, 100, 200], share)), [100, 200, 300]);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test("ticks are round and within their limit for every duration", () => {
  for (let ms = 1000; ms < 1e9; ms *= 1.7) {
    const found = ticks(ms, 8);
    assert.ok(found.length >= 1 && found.length <= 9 && found.at(-1) <= ms, `${ms}: ${found}`);
  }
  assert.deepEqual(ticks(45_000, 5), [0, 10_000, 20_000, 30_000, 40_000]);
});

test("an axis ends at a round number", () => {
  assert.deepEqual([0, 1, 101, 250, 501, 1000].map(roundUp), [1, 1, 200, 500, 1000, 1000]);
});

test("a curve keeps the highest point of each bucket", () => {
  const points = Array.from({ length: 10_000 }, (_, at) => [at, at === 5001 ? 900 : at % 7]);
  const found = peaks(points, 10_000, 100);
  assert.equal(found.length, 100);
  assert.deepEqual(found[50], [5001, 900]);
});
