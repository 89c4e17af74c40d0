// Reads lists of events as JSON from stdin; writes the state of each transcript. For test_client.py.

import { readFileSync } from "node:fs";
import { CallTranscript } from "../../../../workers/relay/static/callscribe.js";

function fold(events) {
  const transcript = new CallTranscript();
  const applied = events.map((event) => transcript.apply(event));
  const { missing, status, reason, duration_ms, gap_ms, latencies } = transcript;
  const segments = transcript.segments.map((s) => [s.stream_id, s.track, s.segment, s.rev, s.start_ms, s.end_ms, s.role, s.text, s.final]);
  return { applied, missing, status, reason, duration_ms, gap_ms, latencies, segments };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(fold)));
