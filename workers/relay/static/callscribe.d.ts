import type { DerivedEvent, Hole, TranscriptEvent } from "./events.js";

export type * from "./events.js";

/** All streams of the call have ended. */
export interface End {
  type: "end";
  events: number;
  missing: number;
}

/** An event, whose `id` is accepted by `after`, or what the relay says about events. */
export type Followed = TranscriptEvent | Hole | End;

export interface ConnectOptions {
  /** Start after this entry instead of at the beginning. */
  after?: string;
  /** Headers of each request, for example `{ Authorization: "Bearer …" }`. */
  headers?: Record<string, string>;
  /** Ends the iteration when it is aborted. */
  signal?: AbortSignal;
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
  /** Called when the connection is established, and when it is lost and will be retried. */
  onState?: (state: "open" | "reconnecting") => void;
}

export interface FollowOptions extends ConnectOptions {
  /** Origin of the relay, such as `https://relay.example.com`; empty for the page's own. */
  baseUrl?: string;
  /** As in events: percent-encoded. */
  callId: string;
}

/** The relay refused the request, or its response is not usable. Retrying does not help. */
export class RelayError extends Error {
  constructor(message: string, status: number, code: string);
  /** HTTP status. */
  readonly status: number;
  /** `expired`, `gone` (the call was erased), `refused`, `not-events`, `too-long` or `malformed`. */
  readonly code: string;
}

/** One message of a text/event-stream. */
export interface Message {
  event: string;
  data: string;
  id: string;
}

/** Splits a text/event-stream into messages, however it is cut into chunks. */
export class EventStreamParser {
  push(bytes: Uint8Array): Message[];
}

/** Yields the messages of an event stream; reconnects, and resumes after the last message. */
export function messages(options: ConnectOptions & { url: string }): AsyncGenerator<Message, void>;

/** Yields the events of one call from its beginning until it ends; reconnects and resumes. */
export function follow(options: FollowOptions): AsyncGenerator<Followed, void>;

/**
 * Yields the alerts and wrap-ups of one call, from the first on; reconnects and resumes. It does not
 * end with the call, because a wrap-up comes afterwards. The `id` of each is accepted by `after`.
 */
export function followAssist(options: FollowOptions): AsyncGenerator<DerivedEvent, void>;

/** Returns a call's id for a path of the relay: as in events, where it is percent-encoded already. */
export function pathOf(callId: string): string;

/** One utterance of a track; its text is partial until it is final. */
export interface Segment {
  readonly stream_id: string;
  readonly track: string;
  readonly role: string;
  readonly segment: number;
  readonly rev: number;
  readonly start_ms: number;
  readonly end_ms: number;
  readonly text: string;
  readonly final: boolean;
  /** Unix ms at which the segment's media clock started. */
  readonly clock: number;
}

/** One media stream of the call. */
export interface Stream {
  /** The first epoch of the gateway that writes the stream. */
  readonly owner: number;
  readonly epoch: number;
  /** Of the last event in this epoch. */
  readonly n: number;
  /** Unix ms at which the media clock started. */
  readonly clock: number;
  /** Null until the stream has ended. */
  readonly status: string | null;
  readonly reason: string;
  readonly duration_ms: number;
  readonly gap_ms: number;
}

/** The state of one call after the events so far. */
export class CallTranscript {
  /** Number of events applied. */
  readonly events: number;
  /** Number of events missing from the numbering. */
  readonly missing: number;
  /** Of the deltas with text. */
  readonly latencies: readonly number[];
  readonly streams: ReadonlyMap<string, Stream>;
  /** Applies the next event; returns false if it is a repetition or not an event of the call. */
  apply(event: Followed | TranscriptEvent): boolean;
  /** Returns the segment that a delta or final belongs to. */
  segmentOf(event: TranscriptEvent): Segment | undefined;
  /** All segments in the order of time. */
  get segments(): Segment[];
  /** Whether every stream that started has ended. */
  get over(): boolean;
  /** `live`, then `completed` or the status of the first stream that did not complete. */
  get status(): string;
  get reason(): string;
  /** Audio of the longest stream. */
  get duration_ms(): number;
  /** Audio in gaps, all tracks together. */
  get gap_ms(): number;
}
