"""Streams whose media can't be decoded, or overtake their start: what readers are told."""

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from gateway.calls.termination import CLOSED, Termination
from gateway.carriers.adapter import Adapter
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import bandwidth, exotel, freeswitch, plivo, ringcx, telnyx, twilio
from gateway.errors import CarrierError, UpstreamError
from gateway.transcript.events import (
    GapCause,
    Status,
    StreamEnded,
    StreamStarted,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.calls.stream_harness import StreamHarness, living, virtually
from tests.gateway.carriers.protocols.test_early_media import SENDERS, Sender
from tests.gateway.scripted import ScriptedTransport, settle

JSON: Final = (
    "twilio",
    "signalwire",
    "talkdesk",
    "telnyx",
    "plivo",
    "exotel",
    "bandwidth",
    "ringcx",
    "acs",
    "audiocodes",
)
FRAMES: Final = 50  # of 20 ms
FRAME: Final = base64.b64encode(bytes(160)).decode()

type Spoil = Callable[[bytes], bytes]


def no_base64(message: bytes) -> bytes:
    return message.replace(b"f39/", b"f%9/")


def no_text(message: bytes) -> bytes:
    text = base64.b64encode(bytes([127]) * message.count(b"f39/") * 3)[:40]
    at = message.index(text)
    end = message.index(b'"', at)
    return message[: at - 1] + b"[1, 2]" + message[end + 1 :]


def half(message: bytes) -> bytes:
    return message[: -len(message) // 3]


def feed(harness: StreamHarness, message: object) -> None:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    harness.stream.receive_text(text)


def written(sender: Sender, number: int) -> bytes:
    assert sender.write is not None
    return json.dumps(sender.write(number, b"\x7f" * sender.frame_bytes)).encode()


async def play(
    sender: Sender, bad: Sequence[int], spoil: Spoil
) -> tuple[StreamHarness, StreamEnded]:
    async with living(adapter=sender.adapter()) as (harness, task):
        feed(harness, sender.start)
        await settle()
        for number in range(1, FRAMES + 1):
            message = written(sender, number)
            feed(harness, spoil(message) if number in bad else message)
        harness.stream.end(CLOSED)
        await settle()
        harness.finish_all()
        await task
    return harness, harness.ended


@pytest.mark.parametrize("spoil", [no_base64, no_text, half])
@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (range(1, 6), [(0, 100)]),
        (range(21, 31), [(400, 600)]),
        (range(46, 51), [(900, 1000)]),
        ([1, 25, 50], [(0, 20), (480, 500), (980, 1000)]),
    ],
    ids=["begin", "middle", "end", "everywhere"],
)
@pytest.mark.parametrize("name", JSON)
async def test_what_cannot_be_decoded_is_a_gap_where_it_lies(
    name: str, bad: Sequence[int], expected: list[tuple[int, int]], spoil: Spoil
) -> None:
    """Symptom: only a hole in the middle of a stream with times was declared."""
    harness, ended = await play(SENDERS[name], bad, spoil)
    gaps = [gap for gap in harness.of(TranscriptGap) if gap.cause is GapCause.CARRIER_LOSS]
    assert [(gap.from_ms, gap.to_ms) for gap in gaps] == expected
    assert (ended.status, ended.reason) == (Status.COMPLETED, "carrier-closed")
    assert (ended.duration_ms, ended.gap_ms) == (1000, sum(b - a for a, b in expected))


@pytest.mark.parametrize("spoil", [no_base64, no_text, half])
@pytest.mark.parametrize("name", JSON)
async def test_a_stream_of_which_nothing_could_be_heard_fails(name: str, spoil: Spoil) -> None:
    """Symptom: all frames were bad, and the stream was `completed` with no gap."""
    harness, ended = await play(SENDERS[name], range(1, FRAMES + 1), spoil)
    assert (ended.status, ended.reason) == (Status.FAILED, "undecodable-media")
    assert (ended.duration_ms, ended.gap_ms) == (1000, 1000)
    assert len(harness.of(TranscriptGap)) == 1


async def test_they_are_counted_as_ignored_too() -> None:
    harness, _ = await play(SENDERS["twilio"], [2, 3], no_base64)
    metric = "callscribe_ignored_messages_total"
    labels = {"carrier": "twilio", "kind": "undecodable-payload"}
    assert harness.metrics.registry.get_sample_value(metric, labels) == 2


async def test_a_stream_with_a_word_in_it_is_complete() -> None:
    _, ended = await play(SENDERS["twilio"], range(2, FRAMES + 1), no_base64)
    assert (ended.status, ended.gap_ms) == (Status.COMPLETED, 980)


async def test_lost_audio_at_the_end_makes_no_other_session() -> None:
    """Symptom to prevent: a tail that no session answers looks like a context that was full."""
    async with living() as (harness, task):
        harness.start()
        await settle()
        for _ in range(8):
            harness.feed("media", media={"track": "inbound", "payload": FRAME})
        for _ in range(100):
            harness.feed("media", media={"track": "inbound", "payload": "%"})
        harness.feed("stop")
        await settle()
        harness.peer.delta(" hello")
        harness.finish_all()
        await task
    assert len(harness.transport.streams) == 1
    assert harness.ended.status is Status.COMPLETED
    assert (harness.ended.duration_ms, harness.ended.gap_ms) == (2160, 2000)


async def test_without_a_way_to_the_model_it_is_declared_all_the_same() -> None:
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("access-denied")
    async with living(transport) as (harness, task):
        harness.start()
        for _ in range(10):
            harness.feed("media", media={"track": "inbound", "payload": "%" * 216})
        await settle()
        await task
    assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "access-denied")
    assert (harness.ended.duration_ms, harness.ended.gap_ms) == (200, 200)


@virtually
async def test_words_before_a_run_of_lost_frames_are_said() -> None:
    """Symptom to prevent: frames that nobody can hear keep the last words in the model."""
    async with living() as (harness, task):
        harness.start()
        await settle()
        harness.audio(4)
        harness.peer.delta(" hello")
        for _ in range(10):
            await asyncio.sleep(0.5)
            harness.feed("media", media={"track": "inbound", "payload": "%"})
        harness.peer.answer_all()
        await settle()
        assert [final.text for final in harness.of(TranscriptFinal)] == ["hello"]
        harness.feed("stop")
        await settle()
        harness.finish_all()
        await task


class TestFreeSwitch:
    """Its metadata are optional: audio waits for them, and is heard without them in the end."""

    FRAME: Final = bytes(320)

    @staticmethod
    def adapter() -> Adapter:
        query = freeswitch.StreamQuery("mono", params={"queue": "sales"})
        return freeswitch.new_adapter("s1", query)

    @pytest.mark.parametrize("frames", [1, 10, 99, 100, 150])
    async def test_a_stream_that_ends_before_its_metadata(self, frames: int) -> None:
        async with living(adapter=self.adapter()) as (harness, task):
            for _ in range(frames):
                harness.stream.receive_binary(self.FRAME)
            harness.stream.end(CLOSED)
            harness.woken.set()
            await settle()
            harness.finish_all()
            await task
        [started] = harness.of(StreamStarted)
        assert started.params == {"queue": "sales"}
        assert (harness.ended.status, harness.ended.duration_ms) == (Status.COMPLETED, 20 * frames)

    async def test_a_socket_that_is_lost_before_its_metadata(self) -> None:
        async with living(adapter=self.adapter()) as (harness, task):
            harness.stream.receive_binary(self.FRAME)
            harness.stream.end(Termination.failed(CarrierError("socket-lost")))
            harness.woken.set()
            await settle()
            harness.finish_all()
            await task
        assert (harness.ended.reason, harness.ended.duration_ms) == ("socket-lost", 20)

    async def test_no_audio_is_no_stream(self) -> None:
        async with living(adapter=self.adapter()) as (harness, task):
            harness.stream.end(CLOSED)
            harness.woken.set()
            await task
        assert harness.events == []


@pytest.mark.parametrize(
    "dialect",
    [
        twilio.DIALECT,
        telnyx.DIALECT,
        plivo.DIALECT,
        exotel.DIALECT,
        bandwidth.DIALECT,
        ringcx.DIALECT,
    ],
    ids=lambda dialect: dialect.carrier,
)
async def test_media_without_a_start_are_no_stream(dialect: Any) -> None:
    sender = SENDERS[dialect.carrier]
    async with living(adapter=JsonMediaAdapter(dialect)) as (harness, task):
        feed(harness, written(sender, 1))
        harness.stream.end(CLOSED)
        await task
    assert harness.events == []


class TestWhereAudioIsCounted:
    """Its arrival tells silence from delay: what is lost must look like neither."""

    @staticmethod
    def written(number: int, payload: str = FRAME) -> dict[str, Any]:
        message = {"eventType": "media", "track": "inbound", "payload": payload}
        return message | {"sequenceNumber": str(number)}

    async def played(self, messages: Sequence[dict[str, Any] | None]) -> StreamHarness:
        """Play frames at the speed of speech; None is one that never came."""
        adapter = JsonMediaAdapter(bandwidth.DIALECT)
        async with living(adapter=adapter) as (harness, task):
            feed(harness, SENDERS["bandwidth"].start)
            for message in messages:
                await asyncio.sleep(0.02)
                if message:
                    feed(harness, message)
            harness.stream.end(CLOSED)
            await settle()
            harness.finish_all()
            await task
        return harness

    @staticmethod
    def gaps(harness: StreamHarness) -> list[tuple[int, int, GapCause]]:
        found = [gap for gap in harness.of(TranscriptGap) if gap.cause is not GapCause.MODEL_MUTE]
        return [(gap.from_ms, gap.to_ms, gap.cause) for gap in found]

    @virtually
    async def test_50_missing_frames_of_200(self) -> None:
        """Symptom: Bandwidth's numbers were not read, and 50 missing frames were no gap."""
        messages = [None if 100 <= n < 150 else self.written(n) for n in range(200)]
        harness = await self.played(messages)
        assert self.gaps(harness) == [(2000, 3000, GapCause.CARRIER_LOSS)]
        assert harness.ended.duration_ms == 4000

    @virtually
    async def test_five_seconds_that_cannot_be_decoded(self) -> None:
        bad = range(100, 350)
        messages = [self.written(n, "%" if n in bad else FRAME) for n in range(450)]
        harness = await self.played(messages)
        assert self.gaps(harness) == [(2000, 7000, GapCause.CARRIER_LOSS)]
        assert harness.ended.duration_ms == 9000

    @virtually
    async def test_media_that_waited_for_their_start_are_no_silence(self) -> None:
        async with living(adapter=TestFreeSwitch.adapter()) as (harness, task):
            for number in range(300):
                await asyncio.sleep(0.02)
                if number == 75:
                    harness.stream.receive_text(b'{"call_id": "f1"}')
                harness.stream.receive_binary(TestFreeSwitch.FRAME)
            harness.stream.end(CLOSED)
            harness.woken.set()
            await settle()
            harness.finish_all()
            await task
        assert harness.opened[0] == "f1"
        assert self.gaps(harness) == []
        assert harness.ended.duration_ms == 6000
