"""Encode transcript events as flat strings for Redis, and pack them into batches. Pure.

The fields that all events share (v, call_id, stream_id, epoch, n, gateway) are sent once per batch
instead of once per event; `append.lua` adds them to each event.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from gateway.transcript.events import (
    EventType,
    StreamDtmf,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TranscriptDelta,
    TranscriptEvent,
    TranscriptFinal,
    TranscriptGap,
)

_pack = msgspec.msgpack.Encoder().encode
_BOOLEANS = (b"\xc2", b"\xc3")


def type_of(event: TranscriptEvent) -> EventType:
    """Return the value of the event's `type` field."""
    match event:
        case TranscriptDelta():
            return "transcript.delta"
        case TranscriptFinal():
            return "transcript.final"
        case TranscriptGap():
            return "transcript.gap"
        case StreamStarted():
            return "stream.started"
        case StreamPaused():
            return "stream.paused"
        case StreamResumed():
            return "stream.resumed"
        case StreamDtmf():
            return "stream.dtmf"
        case StreamEnded():
            return "stream.ended"


def flatten(event: TranscriptEvent, taken_unix_s: float, now_s: float) -> list[str]:
    """Return one event as a list: its type, its `at`, then its own field names and values in turn.

    Args:
        event: the event.
        taken_unix_s: when the publisher accepted it, in Unix seconds; becomes `at`.
        now_s: when it is written, on the monotonic clock of `audio_received_s`, for `latency_ms`.
    """
    head = [type_of(event), rfc3339_ms(taken_unix_s)]
    match event:
        case TranscriptDelta():
            latency_ms = max(0, round((now_s - event.audio_received_s) * 1000))
            return [*head, *_text_fields(event), "latency_ms", str(latency_ms)]
        case TranscriptFinal():
            language = [] if event.language is None else ["language", event.language]
            return [*head, *_text_fields(event), "reason", event.reason, *language]
        case TranscriptGap():
            times = ["from_ms", str(event.from_ms), "to_ms", str(event.to_ms)]
            return [*head, "track", event.track, *times, "cause", event.cause]
        case StreamStarted():
            tracks = msgspec.json.encode(event.tracks).decode()
            params = msgspec.json.encode(event.params).decode()
            fields = ["carrier", event.carrier, "tracks", tracks, "params", params]
            route = [] if event.route is None else ["route", event.route]
            return [*head, *fields, *route]
        case StreamPaused() | StreamResumed():
            return [*head, "at_ms", str(event.at_ms)]
        case StreamDtmf():
            return head if event.track is None else [*head, "track", event.track]
        case StreamEnded():
            sums = ["segments", str(event.segments), "gap_ms", str(event.gap_ms)]
            ending = ["status", event.status, "reason", event.reason]
            ended = [*head, *ending, "duration_ms", str(event.duration_ms), *sums]
            if not event.suspected_encoding:
                return ended
            suspected = msgspec.json.encode(event.suspected_encoding).decode()
            return [*ended, "suspected_encoding", suspected]


def _text_fields(event: TranscriptDelta | TranscriptFinal) -> list[str]:
    return [
        "track", event.track, "role", event.role,
        "segment", str(event.segment), "rev", str(event.rev), "text", event.text,
        "start_ms", str(event.start_ms), "end_ms", str(event.end_ms),
    ]  # fmt: skip


def pack_stream(*header: str | int) -> bytes:
    """Pack the fields that all batches of a stream share: the first argument of `append.lua`."""
    return _pack(header)


def pack_event(fields: list[str]) -> bytes:
    """Pack one flattened event.

    A lone surrogate, which UTF-8 cannot encode, becomes `?`: one bad character must not block the
    other events of a call.
    """
    try:
        return _pack(fields)
    except UnicodeEncodeError:
        return _pack([s.encode("utf-8", "replace").decode() for s in fields])


def pack_batch(
    first_n: int, events: Sequence[bytes], *, ends_stream: bool, lapsed_at_ms: int = 0
) -> bytes:
    """Pack a batch: the second argument of `append.lua`.

    The array header is written by hand, because msgspec's `Raw` costs a microsecond per event.

    Args:
        first_n: the n of the first event.
        events: from `pack_event`, fewer than 65 536; none in a batch that only renews the lease.
        ends_stream: whether the last event is the stream's last.
        lapsed_at_ms: if not 0, write the batch only if the lease of the stream's owner had expired
            at this time, in Unix ms, and was not renewed since.
    """
    count = len(events)
    array = (0x90 + count).to_bytes() if count < 16 else b"\xdc" + count.to_bytes(2)
    head = b"\x94" + _pack(first_n) + _BOOLEANS[ends_stream] + array
    return b"".join((head, *events, _pack(lapsed_at_ms)))


def rfc3339_ms(unix_s: float) -> str:
    """Format a time as RFC 3339 in UTC with milliseconds: `2026-11-21T09:53:43.120Z`."""
    seconds, milliseconds = divmod(int(unix_s * 1000), 1000)
    return f"{_rfc3339_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=8)  # a batch spans only a second or two
def _rfc3339_second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
