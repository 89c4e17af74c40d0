// A program of a user: it compiles only if the typings are complete.
import {
  CallTranscript,
  follow,
  followAssist,
  type AssistAlert,
  type DerivedEvent,
  type Followed,
  type StreamEnded,
  type TranscriptEvent,
} from "./callscribe.js";

const transcript = new CallTranscript();

function describe(event: TranscriptEvent): string {
  switch (event.type) {
    case "stream.started":
      return `${event.carrier} ${event.route ?? "no route"} ${event.tracks.map((each) => each.role)}`;
    case "transcript.delta":
      return `${event.text} after ${event.latency_ms.toFixed()} ms`;
    case "transcript.final":
      return event.reason === "pause" ? event.text : `${event.text} (${event.reason})`;
    case "transcript.gap":
      return `${event.to_ms - event.from_ms} ms: ${event.cause}`;
    case "stream.paused":
    case "stream.resumed":
      return `at ${event.at_ms}`;
    case "stream.dtmf":
      return event.track ?? "some track";
    case "stream.ended":
      return Object.keys(event.suspected_encoding ?? {}).join();
    case "other":
      return event.other_type;
    default:
      return event satisfies never;
  }
}

function position(event: TranscriptEvent): [string, number, number | undefined, string] {
  return [event.id, event.n, event.source_n, event.v];
}

export async function main(): Promise<void> {
  for await (const event of follow({ baseUrl: "https://relay.example.com", callId: "CA1" })) {
    transcript.apply(event);
    if (event.type === "hole") console.log(event.call_id, event.last - event.first);
    else if (event.type === "end") console.log(event.missing);
    else console.log(describe(event), position(event));
  }
}

function describeDerived(event: DerivedEvent): string {
  switch (event.type) {
    case "assist.alert":
      return `${event.severity} ${event.title} ${event.segment?.toFixed()}`;
    case "assist.wrapup":
      return event.summary.map(({ text, citations }) => `${text} ${citations[0].segment}`).join();
    default:
      return event satisfies never;
  }
}

export async function assist(after?: string): Promise<void> {
  for await (const event of followAssist({ callId: "CA1", after })) console.log(describeDerived(event));
}

// @ts-expect-error: alerts are not among the events of a transcript
export const mixed: TranscriptEvent = {} as AssistAlert;

export const later: StreamEnded["status"] = "a status of a later version";

// @ts-expect-error: numbers are not strings
export const wrong: StreamEnded["duration_ms"] = "1";

// @ts-expect-error: a hole is not an event
export const confused: TranscriptEvent = {} as Extract<Followed, { type: "hole" }>;
