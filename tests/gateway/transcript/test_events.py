"""Encoding of events as flat strings: every event type, and any text."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.encode import flatten, pack_batch, pack_event, rfc3339_ms, type_of
from gateway.transcript.events import (
    FinalReason,
    GapCause,
    Status,
    StreamDtmf,
    StreamEnded,
    StreamStarted,
    TrackInfo,
    TranscriptDelta,
    TranscriptEvent,
    TranscriptFinal,
    TranscriptGap,
)

_REFERENCE = Path(__file__).parents[3] / "docs" / "events.md"
_TAKEN_UNIX_S = 1_795_255_616.1239
_AT = "2026-11-21T10:06:56.123Z"
_NOW_S = 100.0

_CASES: list[tuple[TranscriptEvent, str, dict[str, str]]] = [
    (
        TranscriptDelta("inbound", "customer", 3, 2, " it was", 1200, 1280, 99.79, 99.99),
        "transcript.delta",
        {
            "track": "inbound",
            "role": "customer",
            "segment": "3",
            "rev": "2",
            "text": " it was",
            "start_ms": "1200",
            "end_ms": "1280",
            "latency_ms": "210",
        },
    ),
    (
        TranscriptFinal("outbound", "agent", 1, 1, "Good day.", 0, 960, FinalReason.PAUSE),
        "transcript.final",
        {
            "track": "outbound",
            "role": "agent",
            "segment": "1",
            "rev": "1",
            "text": "Good day.",
            "start_ms": "0",
            "end_ms": "960",
            "reason": "pause",
        },
    ),
    (
        TranscriptFinal("inbound", "agent", 1, 0, "Olá", 0, 80, FinalReason.PAUSE, "pt-BR"),
        "transcript.final",
        {
            "track": "inbound",
            "role": "agent",
            "segment": "1",
            "rev": "0",
            "text": "Olá",
            "start_ms": "0",
            "end_ms": "80",
            "reason": "pause",
            "language": "pt-BR",
        },
    ),
    (
        TranscriptGap("inbound", 100, 260, GapCause.CARRIER_LOSS),
        "transcript.gap",
        {"track": "inbound", "from_ms": "100", "to_ms": "260", "cause": "carrier_loss"},
    ),
    (StreamDtmf("inbound"), "stream.dtmf", {"track": "inbound"}),
    (StreamDtmf(None), "stream.dtmf", {}),
    (
        StreamEnded(Status.FAILED, "socket-lost", 4200, 2, 80),
        "stream.ended",
        {
            "status": "failed",
            "reason": "socket-lost",
            "duration_ms": "4200",
            "segments": "2",
            "gap_ms": "80",
        },
    ),
    (
        StreamEnded(Status.COMPLETED, "", 4200, 0, 0, {"inbound": "pcma"}),
        "stream.ended",
        {
            "status": "completed",
            "reason": "",
            "duration_ms": "4200",
            "segments": "0",
            "gap_ms": "0",
            "suspected_encoding": '{"inbound":"pcma"}',
        },
    ),
]


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[2::2], flat[3::2], strict=True))


@pytest.mark.parametrize(("event", "kind", "fields"), _CASES)
def test_event_is_encoded_as_flat_fields(
    event: TranscriptEvent, kind: str, fields: dict[str, str]
) -> None:
    flat = flatten(event, _TAKEN_UNIX_S, _NOW_S)
    assert flat[:2] == [kind, _AT]
    assert _fields(flat) == fields
    assert type_of(event) == kind


def test_stream_started_has_tracks_and_params_as_json() -> None:
    tracks = (TrackInfo("inbound", "customer", "pcmu", 8000),)
    event = StreamStarted("twilio", tracks, {"queue": 'né"w\n'})
    fields = _fields(flatten(event, _TAKEN_UNIX_S, _NOW_S))
    assert fields["carrier"] == "twilio"
    assert json.loads(fields["tracks"]) == [
        {"track": "inbound", "role": "customer", "encoding": "pcmu", "rate": 8000}
    ]
    assert json.loads(fields["params"]) == {"queue": 'né"w\n'}
    assert "route" not in fields


def test_stream_started_names_the_route() -> None:
    event = StreamStarted("twilio", (), {}, "claims")
    assert _fields(flatten(event, _TAKEN_UNIX_S, _NOW_S))["route"] == "claims"


def test_latency_is_never_negative() -> None:
    early = TranscriptDelta("inbound", "customer", 1, 1, "a", 0, 80, _NOW_S + 1, _NOW_S + 1)
    assert _fields(flatten(early, _TAKEN_UNIX_S, _NOW_S))["latency_ms"] == "0"


_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["", "\0", "a\nb\r\n", "🎧é", "x" * 65_536]),
)


@given(_TEXTS, st.integers(1, 2**53))
def test_packing_preserves_any_text(text: str, first_n: int) -> None:
    event = TranscriptFinal("inbound", "customer", 1, 1, text, 0, 80, FinalReason.HANGUP)
    packed = pack_batch(first_n, [pack_event(flatten(event, 0, 0))], ends_stream=False)
    n, ends_stream, events, lapsed_at_ms = msgspec.msgpack.decode(
        packed, type=tuple[int, bool, list[list[str]], int]
    )
    assert (n, ends_stream, lapsed_at_ms) == (first_n, False, 0)
    assert _fields(events[0])["text"] == text


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 255, 256, 1000])
@pytest.mark.parametrize("ends_stream", [False, True])
def test_batch_of_any_size_is_one_array(count: int, ends_stream: bool) -> None:
    events = [["type", str(n)] for n in range(count)]
    packed = pack_batch(
        1 << 40, [pack_event(e) for e in events], ends_stream=ends_stream, lapsed_at_ms=1 << 41
    )
    assert msgspec.msgpack.decode(packed) == [1 << 40, ends_stream, events, 1 << 41]


def test_lone_surrogate_is_replaced() -> None:
    """UTF-8 cannot encode it, and it must not block the events around it."""
    events = [pack_event(["a", "b\ud800c"]), pack_event(["é"])]
    packed = pack_batch(1, events, ends_stream=True)
    decoded: Any = msgspec.msgpack.decode(packed)
    assert decoded == [1, True, [["a", "b?c"], ["é"]], 0]


@pytest.mark.parametrize(
    ("unix_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_255_616.9999, "2026-11-21T10:06:56.999Z"),
        (1_709_208_000.0, "2024-02-29T12:00:00.000Z"),
    ],
)
def test_times_are_rfc3339_in_utc(unix_s: float, text: str) -> None:
    assert rfc3339_ms(unix_s) == text


@pytest.mark.parametrize("event", [case[0] for case in _CASES])
def test_reference_documents_every_type_and_field(event: TranscriptEvent) -> None:
    reference = _REFERENCE.read_text(encoding="utf-8")
    flat = flatten(event, _TAKEN_UNIX_S, _NOW_S)
    for name in (flat[0], *_fields(flat)):
        assert f"`{name}`" in reference
