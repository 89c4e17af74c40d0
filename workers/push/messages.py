"""What is sent to endpoints: messages made from events. Pure.

A message is decided once, when its event is read: every attempt sends the same bytes under the same
id. The id is derived from the subscription and the event, so the same event has the same id when a
worker reads it again, and when it is replayed.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from workers.client.events import AssistWrapup, Event

CALL_ENDED: Final = "call.ended"
TEST: Final = "push.test"
_ID_DIGITS: Final = 32
_encode: Final = msgspec.json.Encoder().encode


class Message(msgspec.Struct, frozen=True):
    """A message that waits in the outbox.

    Attributes:
        id: identifies the message: the header `webhook-id`.
        type: of its event.
        call_id: the call of the event.
        source: the stream of the partition that contained the event.
        entry: the id of the event in it.
        body: JSON.
    """

    id: str
    type: str
    call_id: str
    source: str
    entry: str
    body: str

    def __repr__(self) -> str:
        """Return what identifies the message, without its content."""
        return f"<Message {self.id} {self.type} {self.call_id}>"


class StreamEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a stream of a call ended.

    Attributes:
        stream_id: the stream.
        status: as in `stream.ended`.
        reason: as in `stream.ended`.
        duration_ms: audio of the stream.
        route: the route of the stream, if it is known.
    """

    stream_id: str
    status: str
    reason: str
    duration_ms: int
    route: str | None = None


class CallEnded(msgspec.Struct, frozen=True):
    """All streams of a call have ended; another one may still start, such as after a transfer.

    Attributes:
        call_id: the call.
        tenant: whose call it is.
        at: when the last stream ended, RFC 3339.
        streams: how each stream ended, in the order of their starts.
    """

    call_id: str
    tenant: str
    at: str
    streams: tuple[StreamEnd, ...]


class _Body(msgspec.Struct, omit_defaults=True):
    type: str
    timestamp: str
    subscription: str
    text: str
    data: object
    route: str | None = None
    started_at: str | None = None  # when the event's stream started


def message_id(subscription: str, *parts: object) -> str:
    """Return the id of a message: the same for the same parts, and different for others."""
    text = "\n".join([subscription, *map(str, parts)])
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]}"


def of_event(
    event: Event,
    kind: str,
    *,
    source: str,
    subscription: str,
    text: str,
    route: str | None,
    started_at: str | None = None,
) -> Message:
    """Return the message of an event.

    Args:
        event: the event.
        kind: its type.
        source: the stream of the partition that contains it.
        subscription: the id of the subscription.
        text: which text the subscription gets, `raw` or `redacted`.
        route: the route of the event's stream, if it is known.
        started_at: when the event's stream started, RFC 3339, if it is known.
    """
    # Alerts and wrap-ups have the numbers of the event before them, and ids of their own.
    own: list[Any] = [getattr(event, name, "") for name in ("alert", "wrapup", "state")]
    if isinstance(event, AssistWrapup):  # those from raw and from redacted text may have one id
        own.append(event.made_from)
    at = event.at.isoformat()
    body = _Body(kind, at, subscription, text, event, route or None, started_at)
    return Message(
        message_id(subscription, event.call_id, event.stream_id, event.epoch, event.n, kind, *own),
        kind,
        event.call_id,
        source,
        event.id,
        _encode(body).decode(),
    )


def of_call_end(
    event: Event,
    streams: Sequence[StreamEnd],
    *,
    source: str,
    subscription: str,
    text: str,
    route: str | None,
) -> Message:
    """Return the message that a call has ended.

    Args:
        event: the `stream.ended` of its last stream.
        streams: how the streams ended.
        source: the stream of the partition that contains the event.
        subscription: the id of the subscription.
        text: which text the subscription gets.
        route: the route of the last stream, if it is known.
    """
    at = event.at.isoformat()
    data = CallEnded(event.call_id, event.tenant, at, tuple(streams))
    body = _Body(CALL_ENDED, at, subscription, text, data, route or None)
    identity = event.call_id, event.stream_id, event.epoch, event.n, CALL_ENDED
    return Message(
        message_id(subscription, *identity),
        CALL_ENDED,
        event.call_id,
        source,
        event.id,
        _encode(body).decode(),
    )


def test_message(subscription: str, text: str, nonce: str, at: str) -> Message:
    """Return a message without content, by which an operator tests an endpoint.

    Args:
        subscription: the id of the subscription.
        text: which text it gets.
        nonce: makes the message another one than earlier tests.
        at: now, RFC 3339.
    """
    call_id = f"push-test-{nonce}"
    body = _Body(TEST, at, subscription, text, {"call_id": call_id})
    return Message(
        message_id(subscription, call_id, TEST), TEST, call_id, "", "", _encode(body).decode()
    )
