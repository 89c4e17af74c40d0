"""Count what happened in runs, to verify that every kind of fault occurred. Pure."""

from collections import Counter
from typing import Final

from tests.simulation.model import StreamFault
from tests.simulation.plan import Fault, Hangup
from tests.simulation.world import Evidence

# What the first seeds must contain, with the default dialect.
EXPECTED: Final = frozenset(
    {f"stream fault {kind}" for kind in StreamFault}
    | {f"fault {fault}" for fault in Fault}
    | {f"hangup {hangup}" for hangup in Hangup}
    | {f"status {status}" for status in ("completed", "failed", "refused", "drained", "lost")}
    | {f"final {reason}" for reason in ("pause", "length", "rollover", "hangup")}
    | {f"gap {cause}" for cause in ("carrier_loss", "not_sent", "backpressure", "reconnect")}
    | {"reason fenced", "reason finish-timeout", "segments replayed", "sessions", "spools"}
    | {"streams resumed", "reason message-flood"}
)


def tally(evidence: Evidence) -> Counter[str]:
    """Count what happened in a run; each key begins with the kind of what it counts."""
    counts: Counter[str] = Counter()
    counts.update(f"fault {event.fault}" for event in evidence.plan.events)
    for entry in evidence.trace.entries:
        if entry.what.startswith("opening: "):
            counts["sessions"] += 1
            counts[f"stream fault {entry.what.split()[1]}"] += 1
        elif entry.what.startswith("crossed: "):
            counts[entry.what] += 1
        elif entry.what == "spools":
            counts["spools"] += 1
        elif entry.what.startswith("stream over: "):
            counts[f"reason {entry.what.split()[-1]}"] += 1
    counts["unproven ms"] = sum(evidence.unproven_ms.values())
    for incarnation in evidence.incarnations:
        counts["streams"] += 1
        counts[f"hangup {incarnation.call.hangup}"] += 1
        counts["audio ms"] += sum(len(received) for received in incarnation.received.values()) // 8
    for events in evidence.records.values():
        for event in events:
            match event["type"]:
                case "stream.started":
                    counts["streams resumed"] += "resumes" in event
                case "stream.ended":
                    counts[f"status {event['status']}"] += 1
                case "transcript.final":
                    counts[f"final {event['reason']}"] += 1
                    counts["segments replayed"] += event["rev"] != "0"
                case "transcript.gap":
                    counts[f"gap {event['cause']}"] += 1
                    counts["gap ms"] += int(event["to_ms"]) - int(event["from_ms"])
                case _:
                    counts["other events"] += 1
    return counts
