"""Calls for tests of wrap-ups."""

from collections.abc import Iterable
from typing import Any

from tests.workers.client.stories import fields
from workers.client import AnyEvent, read_event
from workers.wrapup.conversation import Conversation, Said

TALK = (
    "Hello, how can I help?",
    "I want to cancel my contract 8812345.",
    "I have cancelled it. You will receive a letter.",
)


def call_fields(*texts: str, call: str = "CA1", over: bool = True) -> list[dict[str, str]]:
    """Return the events of a call: one final for each text, by agent and customer in turns."""
    found = [fields("stream.started", 1, call=call, route="sales")]
    for number, text in enumerate(texts or TALK):
        track, role = [("outbound", "agent"), ("inbound", "customer")][number % 2]
        own: dict[str, Any] = {
            "track": track,
            "role": role,
            "segment": number // 2 + 1,
            "rev": 0,
            "text": text,
        }
        position: dict[str, Any] = {"start_ms": 1000 * number, "end_ms": 1000 * number + 900}
        found.append(fields("transcript.final", len(found) + 1, call=call, **own, **position))
    return [*found, end(len(found) + 1, call=call)] if over else found


def end(n: int, **own: Any) -> dict[str, str]:
    """Return the end of a stream."""
    why: dict[str, Any] = {
        "status": "completed",
        "reason": "stopped",
        "duration_ms": 1,
        "gap_ms": 0,
    }
    return fields("stream.ended", n, **why, **own)


def conversation(*texts: str) -> Conversation:
    """Return a call that is over."""
    return read(read_event("0-0", each) for each in call_fields(*texts))


def said(*texts: str) -> list[Said]:
    """Return the segments of a call."""
    return conversation(*texts).said()


def read(events: Iterable[AnyEvent]) -> Conversation:
    """Return the call of some events."""
    return Conversation.read("CA1", events)
