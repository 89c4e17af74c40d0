/** The events of a call, version 1, as the relay sends them: integers as numbers, JSON as objects. */

/** What all events have. */
interface Envelope {
  call_id: string;
  stream_id: string;
  /** Increases when a gateway takes over or resumes the stream, or a janitor closes it. */
  epoch: number;
  /** 1, 2, 3 … per stream and epoch. */
  n: number;
  /** RFC 3339, UTC, with milliseconds. */
  at: string;
  gateway: string;
  tenant: string;
}

export type Role = "customer" | "agent" | "mix" | "unknown";

export interface Track {
  track: string;
  role: Role;
  encoding: string;
  rate: number;
}

export interface StreamStarted extends Envelope {
  type: "stream.started";
  carrier: string;
  tracks: Track[];
  params: Record<string, string>;
  /** The epoch that continues, if a lost stream is resumed. */
  resumes?: number;
}

/** What events about one utterance have. */
interface Utterance extends Envelope {
  track: string;
  role: Role;
  /** Numbered from 1 per track. */
  segment: number;
  /** From 0; a higher one starts the segment over. */
  rev: number;
  text: string;
  start_ms: number;
  end_ms: number;
}

export interface TranscriptDelta extends Utterance {
  type: "transcript.delta";
  latency_ms: number;
}

export interface TranscriptFinal extends Utterance {
  type: "transcript.final";
  reason: "pause" | "length" | "rollover" | "hangup" | "paused";
}

export interface TranscriptGap extends Envelope {
  type: "transcript.gap";
  track: string;
  from_ms: number;
  to_ms: number;
  cause: "carrier_loss" | "backpressure" | "reconnect" | "model_mute" | "paused" | "not_sent";
}

export interface StreamPaused extends Envelope {
  type: "stream.paused";
  at_ms: number;
}

export interface StreamResumed extends Envelope {
  type: "stream.resumed";
  at_ms: number;
}

export interface StreamDtmf extends Envelope {
  type: "stream.dtmf";
  /** Absent if the carrier does not say. */
  track?: string;
}

export interface StreamEnded extends Envelope {
  type: "stream.ended";
  status: "completed" | "failed" | "refused" | "drained" | "lost";
  reason: string;
  duration_ms: number;
  segments: number;
  gap_ms: number;
  /** By track, the encoding that its audio really has. */
  suspected_encoding?: Record<string, "pcmu" | "pcma" | "l16le" | "l16be">;
}

export type TranscriptEvent =
  | StreamStarted
  | TranscriptDelta
  | TranscriptFinal
  | TranscriptGap
  | StreamPaused
  | StreamResumed
  | StreamDtmf
  | StreamEnded;
