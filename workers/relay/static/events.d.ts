/**
 * The events of a call, version 1, as the relay sends them: integers as numbers, JSON as objects.
 *
 * Generated from the classes of workers/client/events.py by `./run fix`.
 */

export type AlertState = "raised" | "withdrawn" | (string & {});

export type Encoding = "pcmu" | "pcma" | "l16le" | "l16be" | (string & {});

export type FinalReason = "pause" | "length" | "rollover" | "hangup" | "paused" | (string & {});

export type GapCause =
  | "carrier_loss"
  | "backpressure"
  | "reconnect"
  | "model_mute"
  | "paused"
  | "not_sent"
  | (string & {});

export type Role = "customer" | "agent" | "mix" | "unknown" | (string & {});

export type Severity = "info" | "warning" | "critical" | (string & {});

export type Status = "completed" | "failed" | "refused" | "drained" | "lost" | (string & {});

export type TextKind = "raw" | "redacted" | (string & {});

export type WrapupTrigger = "ended" | "requested" | (string & {});

/** One track of a stream. */
export interface Track {
  /** `inbound`, `outbound`, or the carrier's own name. */
  track: string;
  /** Who speaks. */
  role: Role;
  /** As announced by the carrier. */
  encoding: Encoding;
  /** In Hz. */
  rate: number;
}

/** A segment that supports a sentence. */
export interface Citation {
  /** The segment's stream. */
  stream_id: string;
  /** Its track. */
  track: string;
  /** Its number. */
  segment: number;
  /** Where it begins on the media clock. */
  start_ms: number;
  /** Where it ends. */
  end_ms: number;
}

/** A sentence about a call. */
export interface CitedSentence {
  /** The sentence. */
  text: string;
  /** The segments that support it, at least one. */
  citations: Citation[];
}

/** The fields that all events have. */
export interface Envelope {
  /** The entry's id, by which a reader resumes; the same in both streams that contain it. */
  id: string;
  /** Version of the contract, `1`. */
  v: string;
  /** The event's call, percent-encoded. */
  call_id: string;
  /** The event's media stream, percent-encoded; unique within the call. */
  stream_id: string;
  /** Increases each time a gateway takes over or resumes the stream, or a janitor closes it. */
  epoch: number;
  /** 1, 2, 3 … per stream_id and epoch. */
  n: number;
  /** When it happened, RFC 3339 in UTC. */
  at: string;
  /** The process that wrote it. */
  gateway: string;
  /** Whose call it is; `default` if its route has none. */
  tenant: string;
  /** Only in a redacted copy: the `n` of the event that it was made from. */
  source_n?: number;
}

/** A media stream of a call began or, if it has `resumes`, continues. */
export interface StreamStarted extends Envelope {
  type: "stream.started";
  /** `twilio` … */
  carrier: string;
  /** The tracks of the stream. */
  tracks: Track[];
  /** The carrier's custom parameters that are published, by name. */
  params: Record<string, string>;
  /** Name of the call's route; absent if no route matches, so that the stream is refused. */
  route?: string;
  /** The epoch that continues; only if a lost stream is resumed. */
  resumes?: number;
}

/** More text of an open segment; the deltas of a `rev` concatenate to its partial text. */
export interface TranscriptDelta extends Envelope {
  type: "transcript.delta";
  /** A track of `stream.started`. */
  track: string;
  /** Who speaks. */
  role: Role;
  /** The utterance, numbered from 1 per track. */
  segment: number;
  /** The revision of the segment, from 0; a higher one starts the segment over. */
  rev: number;
  /** The added text; may begin with a space. */
  text: string;
  /** Where the words begin on the media clock. */
  start_ms: number;
  /** Where they end. */
  end_ms: number;
  /** From the newest audio that it covers until it was written. */
  latency_ms: number;
}

/** The whole text of a segment; replaces its deltas and closes it. */
export interface TranscriptFinal extends Envelope {
  type: "transcript.final";
  /** A track of `stream.started`. */
  track: string;
  /** Who speaks. */
  role: Role;
  /** The utterance, numbered from 1 per track. */
  segment: number;
  /** The revision of the segment. */
  rev: number;
  /** The whole segment. */
  text: string;
  /** Where the segment begins on the media clock. */
  start_ms: number;
  /** Where it ends. */
  end_ms: number;
  /** Why it closed. */
  reason: FinalReason;
  /**
   * The language that the model detected, a BCP 47 code; absent if its server does not report it.
   */
  language?: string;
}

/** Audio of a track without a transcript. */
export interface TranscriptGap extends Envelope {
  type: "transcript.gap";
  /** A track of `stream.started`. */
  track: string;
  /** Where the gap begins on the media clock. */
  from_ms: number;
  /** Where it ends. */
  to_ms: number;
  /** Why there is no transcript. */
  cause: GapCause;
}

/** The carrier stopped sending audio for a while. */
export interface StreamPaused extends Envelope {
  type: "stream.paused";
  /** Position on the media clock. */
  at_ms: number;
}

/** The carrier sends audio again. */
export interface StreamResumed extends Envelope {
  type: "stream.resumed";
  /** Position on the media clock. */
  at_ms: number;
}

/** A key was pressed; which one is never published. */
export interface StreamDtmf extends Envelope {
  type: "stream.dtmf";
  /** Absent if the carrier does not say. */
  track?: string;
}

/** The last event of a stream. */
export interface StreamEnded extends Envelope {
  type: "stream.ended";
  /** How it ended. */
  status: Status;
  /** A slug with more detail, or empty. */
  reason: string;
  /** Audio of the stream. */
  duration_ms: number;
  /** Number of finals. */
  segments: number;
  /** Audio in gaps, all tracks. */
  gap_ms: number;
  /** By track, the encoding that its audio really has; only if it is not the announced one. */
  suspected_encoding?: Record<string, Encoding>;
}

/** A rule matched, or what it matched was taken back; from the worker `assist`. */
export interface AssistAlert extends Envelope {
  type: "assist.alert";
  /** Unique in the call; the same when the alert is withdrawn. */
  alert: string;
  /**
   * Whether the rule matched; or a later revision took back what it had matched, or the rule was
   * changed.
   */
  state: AlertState;
  /** The rule's id. */
  rule: string;
  /** The rule's version. */
  rule_version: string;
  /** As the rule says. */
  severity: Severity;
  /** The rule's title. */
  title: string;
  /** The stream that it is about; absent if it is `stream_id`. */
  cited_stream_id?: string;
  /** The track that it is about; absent if it is about the whole call. */
  track?: string;
  /** Who speaks on that track. */
  role?: string;
  /** The segment that it cites; absent if it cites none. */
  segment?: number;
  /** The revision of that segment. */
  rev?: number;
  /** Where on the media clock the cited audio begins. */
  start_ms?: number;
  /** Where it ends. */
  end_ms?: number;
  /** Name of the call's route. */
  route?: string;
}

/** A summary of a call; from the worker `wrapup`. */
export interface AssistWrapup extends Envelope {
  type: "assist.wrapup";
  /** Unique in the call. */
  wrapup: string;
  /** The kind of text that the model received. */
  made_from: TextKind;
  /** Whether the call had ended, or somebody requested it in mid-call. */
  trigger: WrapupTrigger;
  /** The model's name. */
  model: string;
  /** What was said. */
  summary: CitedSentence[];
  /** What remains to be done. */
  follow_ups: CitedSentence[];
  /** One of the route's list; absent if none of them was chosen. */
  disposition?: string;
  /** Name of the call's route. */
  route?: string;
}

/** An event of a type that this version does not know. */
export interface OtherEvent extends Envelope {
  type: "other";
  /** The type. */
  other_type: string;
}

/** Events that are missing: the numbers `first` to `last` of a stream's epoch. */
export interface Hole {
  type: "hole";
  /** The call. */
  call_id: string;
  /** The stream. */
  stream_id: string;
  /** The epoch. */
  epoch: number;
  /** `n` of the first missing event. */
  first: number;
  /** `n` of the last missing event. */
  last: number;
}

export type TranscriptEvent =
  | StreamStarted
  | TranscriptDelta
  | TranscriptFinal
  | TranscriptGap
  | StreamPaused
  | StreamResumed
  | StreamDtmf
  | StreamEnded
  | OtherEvent;

export type DerivedEvent = AssistAlert | AssistWrapup;
