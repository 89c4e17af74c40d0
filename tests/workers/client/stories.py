"""Events for tests of readers, with any of their fields."""

from typing import Any

from gateway.transcript.keys import encode_id
from workers.client import AnyEvent, read_event

_OWN = {
    "stream.started": {"carrier": "twilio", "tracks": "[]", "params": "{}"},
    "transcript.delta": {"role": "unknown", "latency_ms": "500"},
    "transcript.final": {"role": "unknown", "reason": "pause"},
    "stream.ended": {"segments": "0"},
}


def fields(
    kind: str, n: int, *, epoch: int = 1, stream: str = "MZ1", call: str = "CA1", **own: Any
) -> dict[str, str]:
    """Return an event as in Redis."""
    shared = {
        "v": "1",
        "type": kind,
        "call_id": encode_id(call),
        "stream_id": stream,
        "epoch": str(epoch),
        "n": str(n),
        "at": "2026-11-21T10:06:56.123Z",
        "gateway": "g1",
        "tenant": "default",
    }
    return shared | _OWN.get(kind, {}) | {name: str(value) for name, value in own.items()}


def event(kind: str, n: int, *, epoch: int = 1, stream: str = "MZ1", **own: Any) -> AnyEvent:
    """Return an event as a reader receives it."""
    return read_event("0-0", fields(kind, n, epoch=epoch, stream=stream, **own))


def words(kind: str, n: int, text: str, *, segment: int = 1, rev: int = 0, **more: Any) -> AnyEvent:
    """Return a delta or a final."""
    position = {"track": "inbound", "segment": segment, "rev": rev, "start_ms": 0, "end_ms": n * 80}
    latency = {"latency_ms": 500 + n} if kind == "transcript.delta" else {}
    return event(kind, n, **{**position, "text": text, **latency, **more})


def ended(n: int, status: str = "completed", **more: Any) -> AnyEvent:
    """Return the end of a stream."""
    own = {"status": status, "reason": "stopped", "duration_ms": 1000, "gap_ms": 40, **more}
    return event("stream.ended", n, **own)
