"""Missing frames that only their numbers show."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.pipeline import AudioGap, TrackPipeline
from gateway.carriers.events import AudioLost, AudioReceived, CallStarted, CarrierEvent
from gateway.carriers.protocols.frame_numbers import FrameNumbers
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from tests.gateway.carriers.protocols.test_dialects import (
    BANDWIDTH,
    EXOTEL,
    PLIVO,
    RINGCX,
    SIGNALWIRE,
    TWILIO,
    Speaker,
    changed,
    feed,
)

type Number = Any


def missing(frames: Sequence[tuple[str, int | None]]) -> dict[str, int]:
    """Return the number of missing frames of each track."""
    numbers = FrameNumbers()
    found: dict[str, int] = {}
    received = 0
    for track, sequence in frames:
        for event in numbers.follow(AudioReceived(track, bytes(160), None, sequence), 8):
            if isinstance(event, AudioLost):
                found[event.track] = found.get(event.track, 0) + len(event.payload) // 160
            else:
                received += 1
    assert received == len(frames)  # no frame is dropped
    return found


def one(sequences: Sequence[int | None]) -> int:
    return missing([("inbound", each) for each in sequences]).get("inbound", 0)


class TestOneTrack:
    @pytest.mark.parametrize(
        "lost",
        [
            range(100, 150),
            range(2, 200, 4),
            [*range(50, 75), *range(120, 145)],
            sorted(Random(1).sample(range(3, 200), 50)),  # noqa: S311  # a pattern
        ],
        ids=["at once", "each fourth", "twice", "anywhere"],
    )
    def test_50_missing_frames_of_200_are_detected(self, lost: Sequence[int]) -> None:
        """Symptom: 50 of 200 numbered frames were missing without a gap."""
        assert one([n for n in range(200) if n not in lost]) == 50

    @pytest.mark.parametrize(
        "numbers",
        [
            [None] * 50,
            [7] * 50,
            range(50, 0, -1),
            range(0, 8000, 160),
            range(0, 100, 2),
            [Random(n).randrange(1 << 31) for n in range(500)],  # noqa: S311  # no secret
            [*range(50), *range(50)],
            [*range(50), 1 << 40, *range(50, 100)],
            [*range(50), *[None] * 50],
        ],
        ids=["none", "same", "falling", "samples", "twos", "random", "anew", "one wrong", "stop"],
    )
    def test_numbers_that_do_not_count_frames_are_disregarded(
        self, numbers: Sequence[int | None]
    ) -> None:
        assert one(numbers) == 0

    def test_skip_of_more_than_a_minute_is_disregarded(self) -> None:
        assert one([1, 2, 3002]) == 2999
        assert one([1, 2, 3004]) == 0

    def test_number_that_does_not_increase_is_removed(self) -> None:
        numbers = FrameNumbers()
        passed = [
            numbers.follow(AudioReceived("inbound", b"x", None, n), 8)[-1].sequence
            for n in (5, 6, 6, 2, 3, 7)
        ]
        assert passed == [5, 6, None, None, None, 7]


class TestTwoTracks:
    @staticmethod
    def each(sequences: Sequence[int]) -> list[tuple[str, int | None]]:
        return [(track, n) for n in sequences for track in ("inbound", "outbound")]

    @staticmethod
    def together(count: int, burst: int = 1) -> list[tuple[str, int | None]]:
        return [(("inbound", "outbound")[n // burst % 2], n) for n in range(count)]

    def test_missing_frames_of_separately_numbered_tracks(self) -> None:
        frames = self.each(range(200))
        lost = [f for f in frames if not (f[0] == "inbound" and 100 <= (f[1] or 0) < 150)]
        assert missing(frames) == {}
        assert missing(lost) == {"inbound": 50}

    @pytest.mark.parametrize("burst", [1, 2, 5])
    def test_missing_frames_of_jointly_numbered_tracks_are_divided(self, burst: int) -> None:
        frames = self.together(400, burst)
        assert missing(frames) == {}
        lost = [frame for frame in frames if not 200 <= (frame[1] or 0) < 300]
        assert missing(lost) == {"inbound": 50, "outbound": 50}

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-5, 50)), max_size=40))
    def test_arbitrary_numbers_lose_no_frame(self, frames: list[tuple[str, int | None]]) -> None:
        missing(frames)


def audio_and_gap_ms(speaker: Speaker, frames: Sequence[Any]) -> tuple[int, int]:
    """Return how many milliseconds of a stream's first track are audio, and how many are gaps."""
    adapter = JsonMediaAdapter(speaker.dialect)
    events: list[CarrierEvent] = feed(adapter, speaker.start(), *frames)
    [start] = [event for event in events if isinstance(event, CallStarted)]
    form = start.tracks[0]
    pipeline = TrackPipeline(form)
    pieces = []
    for event in [*events, *adapter.flush_held(form.track)]:
        if isinstance(event, AudioReceived) and event.track == form.track:
            pieces += pipeline.receive(event.payload, event.timestamp_ms, event.sequence)
        elif isinstance(event, AudioLost) and event.track == form.track:
            pieces += pipeline.lose(len(event.payload), event.timestamp_ms, event.sequence)
    pieces += pipeline.flush()
    gap_ms = sum(each.to_ms - each.from_ms for each in pieces if isinstance(each, AudioGap))
    return pipeline.received_bytes // form.bytes_per_ms, gap_ms


def frame(speaker: Speaker, number: Number) -> Any:
    """Return a frame of 20 ms with a number and without a timestamp."""
    message = speaker.media(b"\x7f" * 160, {speaker.track: None})
    if speaker.timestamp:
        message = changed(message, {speaker.timestamp: None})
    return changed(message, {speaker.chunk or "sequenceNumber": number})


LOST = frozenset(range(100, 150))
NUMBERED = [BANDWIDTH, RINGCX, TWILIO, SIGNALWIRE, EXOTEL, PLIVO]
carriers = pytest.mark.parametrize("speaker", NUMBERED, ids=lambda s: s.dialect.carrier)


@carriers
@pytest.mark.parametrize("kind", [int, str])
def test_missing_numbers_are_a_gap_without_timestamps(speaker: Speaker, kind: type) -> None:
    frames = [frame(speaker, kind(n)) for n in range(1, 201) if n not in LOST]
    ms_each = 160 // bytes_per_ms(speaker)
    assert audio_and_gap_ms(speaker, frames) == (150 * ms_each, 50 * ms_each)


def bytes_per_ms(speaker: Speaker) -> int:
    start = feed(JsonMediaAdapter(speaker.dialect), speaker.start())[0]
    assert isinstance(start, CallStarted)
    return start.tracks[0].bytes_per_ms


@carriers
@pytest.mark.parametrize(
    "numbers",
    [
        ["7"] * 100,
        [7] * 100,
        [None] * 100,
        ["x"] * 100,
        [[1]] * 100,
        [-n for n in range(100)],
        [1.5] * 100,
        [True] * 100,
        ["9" * 5000] * 100,
        [10**30 + n for n in range(100)],
    ],
    ids=["7", "seven", "none", "x", "list", "falling", "half", "true", "long", "big"],
)
def test_unusable_numbers_lose_no_audio(speaker: Speaker, numbers: list[Number]) -> None:
    """Symptom to prevent: a frame with a repeated number is dropped without a gap."""
    frames = [frame(speaker, number) for number in numbers]
    ms_each = 160 // bytes_per_ms(speaker)
    assert audio_and_gap_ms(speaker, frames) == (100 * ms_each, 0)


def lost_bytes(*numbers: int, frame_bytes: int) -> list[int]:
    """Return the bytes declared lost before each frame of one track, at 8 bytes per ms."""
    follower = FrameNumbers()
    payload = bytes(frame_bytes)
    return [
        sum(len(each.payload) for each in follower.follow(received, 8)[:-1])
        for received in (AudioReceived("inbound", payload, None, number) for number in numbers)
    ]


def test_each_skip_needs_a_consecutive_number_before_it() -> None:
    assert lost_bytes(1, 2, 4, 6, frame_bytes=160) == [0, 0, 160, 0]
    assert lost_bytes(1, 2, 3, 5, 7, 9, frame_bytes=160) == [0, 0, 0, 160, 160, 0]


def test_number_that_skips_more_than_a_minute_is_no_frame_count() -> None:
    assert lost_bytes(1, 2, 60_003, frame_bytes=8) == [0, 0, 480_000]
    assert lost_bytes(1, 2, 60_004, frame_bytes=8) == [0, 0, 0]
