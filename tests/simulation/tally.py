"""What seeds lived through, counted: where nothing befalls anybody, nothing is proven. Pure."""

from collections import Counter
from typing import Final

from tests.simulation.model import Blow
from tests.simulation.plan import Hangup, Trouble
from tests.simulation.world import Evidence

# What a thousand seeds have to contain.
EXPECTED: Final = frozenset(
    {f"blow {blow}" for blow in Blow}
    | {f"trouble {trouble}" for trouble in Trouble}
    | {f"hangup {hangup}" for hangup in Hangup}
    | {f"status {status}" for status in ("completed", "failed", "refused", "drained", "lost")}
    | {f"final {reason}" for reason in ("pause", "length", "rollover", "hangup")}
    | {f"gap {cause}" for cause in ("carrier_loss", "not_sent", "backpressure", "reconnect")}
    | {"reason fenced", "reason finish-timeout", "segments heard again", "sessions", "spools"}
    | {"streams resumed", "reason message-flood"}
)


def tally(evidence: Evidence) -> Counter[str]:
    """Count what happened in a run, by words with a kind before them."""
    counts: Counter[str] = Counter()
    counts.update(f"trouble {event.trouble}" for event in evidence.plan.events)
    for entry in evidence.trace.entries:
        if entry.what.startswith("opening: "):
            counts["sessions"] += 1
            counts[f"blow {entry.what.split()[1]}"] += 1
        elif entry.what == "spools":
            counts["spools"] += 1
        elif entry.what.startswith("stream over: "):
            counts[f"reason {entry.what.split()[-1]}"] += 1
    for incarnation in evidence.incarnations:
        counts["streams"] += 1
        counts[f"hangup {incarnation.call.hangup}"] += 1
        counts["audio ms"] += sum(len(heard) for heard in incarnation.heard.values()) // 8
    for events in evidence.records.values():
        for event in events:
            match event["type"]:
                case "stream.started":
                    counts["streams resumed"] += "resumes" in event
                case "stream.ended":
                    counts[f"status {event['status']}"] += 1
                case "transcript.final":
                    counts[f"final {event['reason']}"] += 1
                    counts["segments heard again"] += event["rev"] != "0"
                case "transcript.gap":
                    counts[f"gap {event['cause']}"] += 1
                    counts["gap ms"] += int(event["to_ms"]) - int(event["from_ms"])
                case _:
                    counts["other events"] += 1
    return counts
