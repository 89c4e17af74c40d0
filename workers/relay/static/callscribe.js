/**
 * Client of a Callscribe relay: follows the events of a call and assembles its transcript.
 *
 * Runs in browsers and in Node.js 20.3 or newer, without dependencies. Types: callscribe.d.ts.
 *
 *     import { CallTranscript, follow } from "./callscribe.js";
 *
 *     const transcript = new CallTranscript();
 *     for await (const event of follow({ baseUrl: "https://relay.example.com", callId: "CA1" })) {
 *       transcript.apply(event);
 *       if (event.type === "transcript.final") console.log(event.role, event.text);
 *     }
 */

const IDLE_MS = 45_000; // three of the relay's pings
const MAX_WAIT_MS = 15_000;
const MAX_MESSAGE = 4 * 1024 * 1024;
const LINE_END = /\r\n|\r|\n/g;

/** The relay refused the request, or its response is not usable. Retrying does not help. */
export class RelayError extends Error {
  /** @param {string} message @param {number} status @param {string} code */
  constructor(message, status, code) {
    super(message);
    this.name = "RelayError";
    this.status = status;
    this.code = code;
  }
}

/** Splits a text/event-stream into messages, however it is cut into chunks. */
export class EventStreamParser {
  #decoder = new TextDecoder();
  #line = "";
  #skipLf = false; // the last chunk ended in CR
  #data = /** @type {string[]} */ ([]);
  #size = 0;
  #event = "";
  #id = "";

  /** @param {Uint8Array} bytes */
  push(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    const found = /** @type {import("./callscribe.js").Message[]} */ ([]);
    if (!text) return found;
    let from = this.#skipLf && text[0] === "\n" ? 1 : 0;
    LINE_END.lastIndex = from;
    this.#skipLf = text.endsWith("\r");
    for (let match; (match = LINE_END.exec(text)); from = LINE_END.lastIndex) {
      this.#endLine(this.#line + text.slice(from, match.index), found);
      this.#line = "";
    }
    this.#line += text.slice(from);
    if (this.#size + this.#line.length > MAX_MESSAGE) {
      throw new RelayError("a message is longer than 4 MiB", 200, "too-long");
    }
    return found;
  }

  /** @param {string} line @param {import("./callscribe.js").Message[]} found */
  #endLine(line, found) {
    if (!line) return this.#dispatch(found);
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }

  /** @param {import("./callscribe.js").Message[]} found */
  #dispatch(found) {
    if (this.#data.length) {
      found.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
    }
    this.#data = [];
    this.#size = 0;
    this.#event = "";
  }
}

/**
 * Yields the messages of an event stream; reconnects, and resumes after the last message.
 * @param {import("./callscribe.js").ConnectOptions & { url: string }} options
 */
export async function* messages({ after = "", onState = () => {}, ...options }) {
  const { signal } = options;
  for (let failures = 0; !signal?.aborted; failures += 1) {
    try {
      for await (const message of connect(options, after, () => onState("open"))) {
        after = message.id || after;
        failures = 0;
        yield message;
      }
    } catch (error) {
      if (error instanceof RelayError) throw error;
    }
    if (signal?.aborted) return;
    onState("reconnecting");
    await pause(Math.min(MAX_WAIT_MS, 500 * 2 ** Math.min(failures, 5)), signal);
  }
}

/**
 * Yields the events of one call from its beginning until it ends; reconnects and resumes.
 * @param {import("./callscribe.js").FollowOptions} options
 */
export async function* follow({ baseUrl = "", callId, ...options }) {
  for await (const { event, data, id } of messages({ url: `${baseUrl}/api/calls/${pathOf(callId)}/events`, ...options })) {
    if (event === "message") yield { ...parse(data), id };
    else if (event === "hole") yield { ...parse(data), type: event };
    else if (event === "expired") throw new RelayError("the session has expired", 401, "expired");
    else if (event === "gone") throw new RelayError("the call was erased", 410, "gone");
    else if (event === "end") {
      yield { ...parse(data), type: event };
      return;
    }
  }
}

/**
 * Yields the alerts and wrap-ups of one call, also those after its end; reconnects and resumes.
 * @param {import("./callscribe.js").FollowOptions} options
 */
export async function* followAssist({ baseUrl = "", callId, ...options }) {
  for await (const { event, data, id } of messages({ url: `${baseUrl}/api/calls/${pathOf(callId)}/assist`, ...options })) {
    if (event === "message") yield { ...parse(data), id };
    else if (event === "expired") throw new RelayError("the session has expired", 401, "expired");
  }
}

/**
 * Returns a call's id for a path: as in events, where it is percent-encoded already.
 * @param {string} callId
 */
export const pathOf = (callId) => callId.replace(/[^\w.~%-]+/g, encodeURIComponent);

/**
 * Yields the messages of one connection.
 * @param {{ url: string, headers?: Record<string, string>, signal?: AbortSignal, fetch?: typeof fetch }} options
 * @param {string} after
 * @param {() => void} opened
 */
async function* connect({ url, headers, signal, fetch = globalThis.fetch }, after, opened) {
  const idle = new AbortController();
  const either = signal ? AbortSignal.any([signal, idle.signal]) : idle.signal;
  const resume = /** @type {Record<string, string>} */ (after ? { "Last-Event-ID": after } : {});
  const init = { headers: { Accept: "text/event-stream", ...headers, ...resume }, signal: either };
  const response = await within(idle, fetch(url, { ...init, cache: "no-store" }));
  const body = await bodyOf(response, idle);
  opened();
  const parser = new EventStreamParser();
  try {
    for (;;) {
      const { done, value } = await within(idle, body.read());
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    idle.abort();
  }
}

/**
 * Returns the reader of the response's body, or throws: a RelayError if retrying does not help.
 * @param {Response} response
 * @param {AbortController} idle
 */
async function bodyOf(response, idle) {
  const { status, body } = response;
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  if (status === 200 && isStream && body) return body.getReader();
  idle.abort();
  if (status >= 500 || status === 408 || status === 425 || status === 429) throw new Error(`status ${status}`);
  if (status === 200) throw new RelayError("the response is not an event stream", status, "not-events");
  throw new RelayError(`the relay refused the request (${status})`, status, status === 401 ? "expired" : "refused");
}

/**
 * Awaits the work; aborts it if it takes too long.
 * @template T
 * @param {AbortController} idle
 * @param {Promise<T>} work
 */
async function within(idle, work) {
  const timer = setTimeout(() => idle.abort(), IDLE_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for half to all of the time, or until the signal is aborted.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(finish, ms * (0.5 + Math.random() / 2));
    function finish() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    }
    signal?.addEventListener("abort", finish);
  });
}

/** @param {string} data */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new RelayError("a message is not JSON", 200, "malformed");
  }
}

/** The state of one call after the events so far. */
export class CallTranscript {
  events = 0;
  missing = 0;
  latencies = /** @type {number[]} */ ([]);
  streams = new Map();
  #segments = new Map();

  /** @param {any} event */
  apply(event) {
    if (!(event.n > 0)) return false; // a hole or the end
    const stream = this.#streamOf(event);
    const isNewEpoch = event.epoch > stream.epoch;
    if (!isNewEpoch && (event.epoch < stream.epoch || event.n <= stream.n)) return false;
    // Numbers start at 1 in each epoch; a lost stream continues in a higher epoch.
    this.missing += event.n - 1 - (isNewEpoch ? 0 : stream.n);
    if (isNewEpoch) stream.status = null;
    if (isNewEpoch && event.type === "stream.started" && event.resumes === undefined) {
      stream.owner = event.epoch;
      stream.clock = Date.parse(event.at);
    }
    stream.epoch = event.epoch;
    stream.n = event.n;
    this.events += 1;
    if (event.type === "transcript.delta") this.#delta(event);
    else if (event.type === "transcript.final") {
      const { text, start_ms, end_ms } = event;
      Object.assign(this.#openSegment(event), { text, start_ms, end_ms, final: true });
    } else if (event.type === "stream.ended") {
      const { status, reason, duration_ms, gap_ms } = event;
      Object.assign(stream, { status, reason, duration_ms, gap_ms });
    }
    return true;
  }

  /** @param {any} event */
  segmentOf(event) {
    return this.#segments.get(this.#keyOf(event));
  }

  get segments() {
    return [...this.#segments.values()].sort(
      (a, b) => a.clock + a.start_ms - b.clock - b.start_ms || compare(a.track, b.track) || a.segment - b.segment,
    );
  }

  get over() {
    return this.streams.size > 0 && [...this.streams.values()].every((stream) => stream.status !== null);
  }

  get status() {
    if (!this.over) return "live";
    const statuses = [...this.streams.values()].map((stream) => stream.status);
    return statuses.find((status) => status !== "completed") ?? "completed";
  }

  get reason() {
    const { status } = this;
    return [...this.streams.values()].find((stream) => stream.status === status)?.reason ?? "";
  }

  get duration_ms() {
    return Math.max(0, ...[...this.streams.values()].map((stream) => stream.duration_ms));
  }

  get gap_ms() {
    return [...this.streams.values()].reduce((sum, stream) => sum + stream.gap_ms, 0);
  }

  /** @param {any} event */
  #delta(event) {
    const segment = this.#openSegment(event);
    if (event.rev < segment.rev || segment.final) return;
    segment.text += event.text;
    segment.end_ms = event.end_ms;
    if (event.text) this.latencies.push(event.latency_ms);
  }

  /** @param {any} event */
  #streamOf(event) {
    let stream = this.streams.get(event.stream_id);
    if (!stream) {
      // The clock is an estimate until the stream's start is applied.
      const clock = Date.parse(event.at) - (event.end_ms ?? event.to_ms ?? event.at_ms ?? 0);
      stream = { owner: -1, epoch: -1, n: 0, clock, status: null, reason: "", duration_ms: 0, gap_ms: 0 };
      this.streams.set(event.stream_id, stream);
    }
    return stream;
  }

  /**
   * Returns the event's segment; a higher revision replaces it with an empty one.
   * @param {any} event
   */
  #openSegment(event) {
    const key = this.#keyOf(event);
    let segment = this.#segments.get(key);
    if (!segment || event.rev > segment.rev) {
      const { stream_id, track, role, segment: number, rev, start_ms, end_ms } = event;
      const { clock } = this.streams.get(stream_id);
      segment = { stream_id, track, role, segment: number, rev, start_ms, end_ms, text: "", final: false, clock };
      this.#segments.set(key, segment);
    }
    return segment;
  }

  /** @param {any} event */
  #keyOf({ stream_id, track, segment }) {
    return `${this.streams.get(stream_id)?.owner} ${segment} ${stream_id} ${track}`;
  }
}

/** @param {string} a @param {string} b */
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
