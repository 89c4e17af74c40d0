import assert from "node:assert/strict";
import { test } from "node:test";
import { RelayError, follow, followAssist } from "../../../../workers/relay/static/callscribe.js";
import { END, collect, message, relay, silence, status, stream } from "./relay.mjs";

const A = { type: "stream.paused", n: 1 };
const B = { type: "stream.resumed", n: 2 };
const ENDED = { type: "end", events: 2, missing: 0 };

/** Follows a call of a relay with these handlers; returns what was yielded, requested and reported. */
async function run(handlers, options = {}) {
  const server = await relay(...handlers);
  const states = [];
  try {
    const events = await collect(follow({ baseUrl: server.baseUrl, callId: "CA1", onState: (state) => states.push(state), ...options }));
    return { events, states, requests: server.requests };
  } finally {
    server.close();
  }
}

test("events are yielded with their ids until the end", async () => {
  const { events, requests, states } = await run([stream(message("1-0", A), ": ping\n\n", message("2-0", B), END, message("3-0", A))]);
  assert.deepEqual(events, [{ ...A, id: "1-0" }, { ...B, id: "2-0" }, ENDED]);
  assert.equal(requests[0].url, "/api/calls/CA1/events");
  assert.equal(requests[0].headers.accept, "text/event-stream");
  assert.equal("last-event-id" in requests[0].headers, false);
  assert.deepEqual(states, ["open"]);
});

test("a lost connection is resumed after the last event", async () => {
  const cut = (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(message("1-0", A) + "id: 2-0\ndata: {", () => response.destroy());
  };
  const { events, requests, states } = await run([cut, stream(message("2-0", B), END)]);
  assert.deepEqual(events, [{ ...A, id: "1-0" }, { ...B, id: "2-0" }, ENDED]);
  assert.equal(requests[1].headers["last-event-id"], "1-0");
  assert.deepEqual(states, ["open", "reconnecting", "open"]);
});

test("a relay that restarts is retried", async () => {
  const { requests, states } = await run([status(503), status(429), stream(END)]);
  assert.equal(requests.length, 3);
  assert.deepEqual(states, ["reconnecting", "reconnecting", "open"]);
});

test("following starts after an entry, with the caller's headers", async () => {
  const { requests } = await run([stream(END)], { after: "7-1", headers: { Authorization: "Bearer x" } });
  assert.equal(requests[0].headers["last-event-id"], "7-1");
  assert.equal(requests[0].headers.authorization, "Bearer x");
});

test("a call id that is not encoded cannot leave its path", async () => {
  const { requests } = await run([stream(END)], { callId: "a/../b?c#d%20e" });
  assert.equal(requests[0].url, "/api/calls/a%2F..%2Fb%3Fc%23d%20e/events");
});

test("holes are yielded", async () => {
  const hole = { stream_id: "MZ1", epoch: 5, first: 3, last: 4 };
  const { events } = await run([stream(`event: hole\ndata: ${JSON.stringify(hole)}\n\n`, "event: later\ndata: -\n\n", END)]);
  assert.deepEqual(events, [{ type: "hole", ...hole }, ENDED]);
});

const REFUSALS = [
  ["401", status(401), 401, "expired"],
  ["403", status(403), 403, "refused"],
  ["404", status(404), 404, "refused"],
  ["a session that ends", stream("event: expired\ndata: {}\n\n"), 401, "expired"],
  ["a call that is erased", stream('event: gone\ndata: {"call_id": "CA1"}\n\n'), 410, "gone"],
  ["a page instead of events", (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<p>"), 200, "not-events"],
  ["a message that is not JSON", stream("data: {\n\n"), 200, "malformed"],
];

for (const [name, handler, code, reason] of REFUSALS) {
  test(`${name} ends with an error`, async () => {
    await assert.rejects(run([handler]), (error) => error instanceof RelayError && error.status === code && error.code === reason);
  });
}

test("the signal ends a connection", async () => {
  const stop = new AbortController();
  const server = await relay((_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(message("1-0", A));
  });
  const seen = [];
  for await (const event of follow({ baseUrl: server.baseUrl, callId: "CA1", signal: stop.signal })) {
    seen.push(event.id);
    stop.abort();
  }
  server.close();
  assert.deepEqual(seen, ["1-0"]);
});

test("the signal ends the wait for the next attempt", async () => {
  const stop = new AbortController();
  const onState = () => setImmediate(() => stop.abort());
  const { events } = await run([status(503)], { signal: stop.signal, onState });
  assert.deepEqual(events, []);
});

test("leaving the loop closes the connection", async () => {
  let closed;
  const isClosed = new Promise((resolve) => (closed = resolve));
  const server = await relay((_, response) => {
    response.on("close", closed);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(message("1-0", A));
  });
  for await (const _ of follow({ baseUrl: server.baseUrl, callId: "CA1" })) break;
  await isClosed;
  server.close();
});

test("a relay that sends nothing is given up after 45 s", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const headersOnly = (_, response) => response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
  const server = await relay(silence, headersOnly, stream(END));
  const states = [];
  const until = async (isReached) => { while (!isReached()) await new Promise(setImmediate); };
  const following = collect(follow({ baseUrl: server.baseUrl, callId: "CA1", onState: (state) => states.push(state) }));
  await until(() => server.requests.length === 1);
  context.mock.timers.tick(44_999);
  assert.deepEqual(states, []);
  context.mock.timers.tick(1);
  await until(() => states.length === 1);
  context.mock.timers.tick(500);
  await until(() => states.length === 2);
  context.mock.timers.tick(45_000);
  await until(() => states.length === 3);
  context.mock.timers.tick(1000);
  await following;
  server.close();
  assert.deepEqual(states, ["reconnecting", "open", "reconnecting", "open"]);
});

test("alerts are followed after the end of the call, and resumed", async () => {
  const alert = { type: "assist.alert", id: "5-0", alert: "a1" };
  const server = await relay(stream(message("5-0_0_0", alert)), stream(message("6-0_0_0", alert), "event: expired\ndata: {}\n\n"));
  const found = [];
  const following = async () => {
    for await (const event of followAssist({ baseUrl: server.baseUrl, callId: "CA1" })) found.push(event);
  };
  await assert.rejects(following, { code: "expired" });
  server.close();
  assert.deepEqual(found.map(({ id }) => id), ["5-0_0_0", "6-0_0_0"]);
  assert.equal(server.requests[0].url, "/api/calls/CA1/assist");
  assert.equal(server.requests[1].headers["last-event-id"], "5-0_0_0");
});
