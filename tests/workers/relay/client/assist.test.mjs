import assert from "node:assert/strict";
import { test } from "node:test";
import { AssistView, placeOf } from "../../../../workers/relay/static/app/assist-view.js";
import { CallView } from "../../../../workers/relay/static/app/call-view.js";
import { T0, Writer } from "./events.mjs";

const CITED = { stream_id: "MZ1", track: "inbound", segment: 1 };
const raised = (alert, fields = {}) => ({ type: "assist.alert", alert, state: "raised", severity: "info", title: alert, ...CITED, ...fields });
const withdrawn = (alert, fields = {}) => raised(alert, { state: "withdrawn", ...fields });
const wrapup = (name, at_ms, fields = {}) => ({ type: "assist.wrapup", wrapup: name, made_from: "redacted", at: new Date(T0 + at_ms).toISOString(), ...fields });

/** Applies the events; returns the view. */
function show(...events) {
  const view = new AssistView();
  events.forEach((event) => view.apply(event));
  return view;
}

const names = (alerts) => alerts.map(({ alert }) => alert);

test("open alerts are counted, and mark what they cite", () => {
  const view = show(raised("a"), raised("b", { segment: 2 }), raised("c"), raised("d", { segment: undefined }), withdrawn("a"));
  assert.equal(view.open, 3);
  assert.deepEqual(names(view.marksAt(placeOf(CITED))), ["c"]);
  assert.deepEqual(names(view.marksAt(placeOf({ ...CITED, segment: 2 }))), ["b"]);
  assert.deepEqual(names(view.newest(2)), ["d", "c"]);
  assert.deepEqual(view.newest(9).map(({ state }) => state[0]), ["r", "r", "r", "w"]);
});

test("an alert that an event of another stream raised marks the stream that it is about", () => {
  const view = show(raised("a", { stream_id: "MZ2", cited_stream_id: "MZ1" }));
  assert.deepEqual(names(view.marksAt(placeOf(CITED))), ["a"]);
  assert.deepEqual(names(view.marksAt(placeOf({ ...CITED, stream_id: "MZ2" }))), []);
  const w = new Writer();
  const call = new CallView();
  [w.started(), w.final("one", 1000, 2000), new Writer("MZ2").started(), new Writer("MZ2", 9).final("two", 0, 900)].forEach((event) => call.apply(event));
  assert.equal(call.find({ ...CITED, stream_id: "MZ2", cited_stream_id: "MZ1", start_ms: 1000 }).segment.text, "one");
});

test("only an alert that is raised is reported", () => {
  const view = new AssistView();
  assert.deepEqual([raised("a"), withdrawn("a"), withdrawn("unknown"), wrapup("w", 0), { type: "new" }].map((event) => view.apply(event)), [true, false, false, false, false]);
});

test("an alert that is repeated, withdrawn twice or raised again is counted once", () => {
  const twice = show(raised("a"), raised("a", { severity: "critical" }));
  assert.deepEqual([twice.open, [...twice.severities]], [1, ["critical"]]);
  assert.equal(twice.marksAt(placeOf(CITED)).length, 1);
  const view = show(raised("a"), raised("b"), withdrawn("a"), withdrawn("a"));
  assert.equal(view.open, 1);
  view.apply(raised("a"));
  assert.deepEqual([view.open, names(view.newest(2))], [2, ["a", "b"]]);
});

test("marks of a segment are the same array until they change", () => {
  const view = show(raised("a"));
  const before = view.marksAt(placeOf(CITED));
  view.apply(raised("b", { segment: 2 }));
  assert.equal(view.marksAt(placeOf(CITED)), before);
});

test("thousands of alerts are bounded, and the newest are kept", () => {
  const view = new AssistView();
  for (let n = 0; n < 5000; n += 1) view.apply(raised(`a${n}`));
  assert.deepEqual([view.alerts.size, view.open, view.dropped], [2000, 2000, 3000]);
  assert.equal(view.newest(1)[0].alert, "a4999");
  assert.ok(view.marksAt(placeOf(CITED)).length <= 20);
  for (let n = 0; n < 5000; n += 1) view.apply(withdrawn(`a${n}`));
  assert.deepEqual([view.open, view.marksAt(placeOf(CITED)).length], [0, 0]);
});

test("the newest wrap-up is the first, whatever it was made from", () => {
  const view = show(wrapup("w1", 5), wrapup("w1", 9, { made_from: "raw" }), wrapup("w2", 7), wrapup("w3", 1));
  assert.deepEqual(view.wrapups.map(({ made_from, wrapup: name }) => `${made_from} ${name}`), ["raw w1", "redacted w2", "redacted w1", "redacted w3"]);
  for (let n = 0; n < 50; n += 1) view.apply(wrapup(`more ${n}`, 20));
  assert.deepEqual([view.wrapups.length, view.wrapups[0].wrapup], [10, "more 49"]);
});

test("what is cited is found, also after another gateway has numbered the segments again", () => {
  const w = new Writer();
  const again = new Writer("MZ1", 200);
  const view = new CallView();
  [w.started(), w.final("one", 1000, 2000), again.started(60_000), again.final("two", 500, 900)].forEach((event) => view.apply(event));
  assert.equal(view.find({ ...CITED, start_ms: 1000 }).segment.text, "one");
  assert.equal(view.find({ ...CITED, start_ms: 490 }).segment.text, "two");
  assert.equal(view.find({ ...CITED, segment: 9 }), undefined);
  assert.equal(view.find({ stream_id: "MZ1" }), undefined);
  assert.equal(view.before(view.zero + 1500).segment.text, "one");
  assert.equal(view.before(0), undefined);
  assert.equal(view.timeOf("unknown", 7), view.zero);
});
