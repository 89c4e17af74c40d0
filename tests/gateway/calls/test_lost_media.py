"""Media that can't be decoded, or that arrive before the start message: what is published."""

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
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
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

type Corruption = Callable[[bytes], bytes]


def invalid_base64(message: bytes) -> bytes:
    return message.replace(b"f39/", b"f%9/")


def array_as_payload(message: bytes) -> bytes:
    text = base64.b64encode(bytes([127]) * message.count(b"f39/") * 3)[:40]
    at = message.index(text)
    end = message.index(b'"', at)
    return message[: at - 1] + b"[1, 2]" + message[end + 1 :]


def truncated(message: bytes) -> bytes:
    return message[: -len(message) // 3]


def feed(harness: StreamHarness, message: object) -> None:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    harness.stream.receive_text(text)


def media_message(sender: Sender, number: int) -> bytes:
    assert sender.write is not None
    return json.dumps(sender.write(number, b"\x7f" * sender.frame_bytes)).encode()


async def play(
    sender: Sender, bad: Sequence[int], corrupt: Corruption
) -> tuple[StreamHarness, StreamEnded]:
    async with running_stream(adapter=sender.adapter()) as (harness, task):
        feed(harness, sender.start)
        await settle()
        for number in range(1, FRAMES + 1):
            message = media_message(sender, number)
            feed(harness, corrupt(message) if number in bad else message)
        harness.stream.end(CLOSED)
        await settle()
        harness.finish_all()
        await task
    return harness, harness.ended


@pytest.mark.parametrize("corrupt", [invalid_base64, array_as_payload, truncated])
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
async def test_undecodable_frames_are_a_gap_at_their_position(
    name: str, bad: Sequence[int], expected: list[tuple[int, int]], corrupt: Corruption
) -> None:
    """Symptom: a gap was declared only in the middle of a stream whose frames have times."""
    harness, ended = await play(SENDERS[name], bad, corrupt)
    gaps = [gap for gap in harness.of(TranscriptGap) if gap.cause is GapCause.CARRIER_LOSS]
    assert [(gap.from_ms, gap.to_ms) for gap in gaps] == expected
    assert (ended.status, ended.reason) == (Status.COMPLETED, "carrier-closed")
    assert (ended.duration_ms, ended.gap_ms) == (1000, sum(b - a for a, b in expected))


@pytest.mark.parametrize("corrupt", [invalid_base64, array_as_payload, truncated])
@pytest.mark.parametrize("name", JSON)
async def test_stream_without_a_decodable_frame_fails(name: str, corrupt: Corruption) -> None:
    """Symptom: no frame could be decoded, and the stream was `completed` without a gap."""
    harness, ended = await play(SENDERS[name], range(1, FRAMES + 1), corrupt)
    assert (ended.status, ended.reason) == (Status.FAILED, "undecodable-media")
    assert (ended.duration_ms, ended.gap_ms) == (1000, 1000)
    assert len(harness.of(TranscriptGap)) == 1


async def test_undecodable_frames_are_counted_as_ignored() -> None:
    harness, _ = await play(SENDERS["twilio"], [2, 3], invalid_base64)
    metric = "callscribe_ignored_messages_total"
    labels = {"carrier": "twilio", "kind": "undecodable-payload"}
    assert harness.metrics.registry.get_sample_value(metric, labels) == 2


async def test_stream_with_one_decodable_frame_is_completed() -> None:
    _, ended = await play(SENDERS["twilio"], range(2, FRAMES + 1), invalid_base64)
    assert (ended.status, ended.gap_ms) == (Status.COMPLETED, 980)


async def test_undecodable_frames_at_the_end_open_no_other_session() -> None:
    """Symptom to prevent: audio at the end that no session answers looks like a full context."""
    async with running_stream() as (harness, task):
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


async def test_undecodable_frames_are_declared_without_a_session() -> None:
    transport = ScriptedTransport()
    transport.refusal = UpstreamError("access-denied")
    async with running_stream(transport) as (harness, task):
        harness.start()
        for _ in range(10):
            harness.feed("media", media={"track": "inbound", "payload": "%" * 216})
        await settle()
        await task
    assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "access-denied")
    assert (harness.ended.duration_ms, harness.ended.gap_ms) == (200, 200)


@in_virtual_time
async def test_pending_words_are_flushed_during_a_run_of_undecodable_frames() -> None:
    """Symptom to prevent: undecodable frames keep the pending words in the model."""
    async with running_stream() as (harness, task):
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
    """Its metadata message is optional: audio is held until it arrives or the stream ends."""

    FRAME: Final = bytes(320)

    @staticmethod
    def adapter() -> Adapter:
        query = freeswitch.StreamQuery("mono", params={"queue": "sales"})
        return freeswitch.new_adapter("s1", query)

    @pytest.mark.parametrize("frames", [1, 10, 99, 100, 150])
    async def test_stream_that_ends_before_its_metadata_is_transcribed(self, frames: int) -> None:
        async with running_stream(adapter=self.adapter()) as (harness, task):
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

    async def test_audio_before_the_metadata_is_kept_when_the_socket_is_lost(self) -> None:
        async with running_stream(adapter=self.adapter()) as (harness, task):
            harness.stream.receive_binary(self.FRAME)
            harness.stream.end(Termination.failed(CarrierError("socket-lost")))
            harness.woken.set()
            await settle()
            harness.finish_all()
            await task
        assert (harness.ended.reason, harness.ended.duration_ms) == ("socket-lost", 20)

    async def test_stream_without_metadata_and_audio_publishes_nothing(self) -> None:
        async with running_stream(adapter=self.adapter()) as (harness, task):
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
async def test_media_without_a_start_message_publish_nothing(dialect: Any) -> None:
    sender = SENDERS[dialect.carrier]
    async with running_stream(adapter=JsonMediaAdapter(dialect)) as (harness, task):
        feed(harness, media_message(sender, 1))
        harness.stream.end(CLOSED)
        await task
    assert harness.events == []


class TestFramesWithoutTimes:
    """Arrival times distinguish silence from delay; lost frames must count as neither."""

    @staticmethod
    def media_message(number: int, payload: str = FRAME) -> dict[str, Any]:
        message = {"eventType": "media", "track": "inbound", "payload": payload}
        return message | {"sequenceNumber": str(number)}

    async def play(self, messages: Sequence[dict[str, Any] | None]) -> StreamHarness:
        """Send a message every 20 ms, and end the stream; None is a message that was lost."""
        adapter = JsonMediaAdapter(bandwidth.DIALECT)
        async with running_stream(adapter=adapter) as (harness, task):
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

    @in_virtual_time
    async def test_missing_sequence_numbers_are_carrier_loss(self) -> None:
        """Symptom: Bandwidth's numbers were not read, and 50 missing frames caused no gap."""
        messages = [None if 100 <= n < 150 else self.media_message(n) for n in range(200)]
        harness = await self.play(messages)
        assert self.gaps(harness) == [(2000, 3000, GapCause.CARRIER_LOSS)]
        assert harness.ended.duration_ms == 4000

    @in_virtual_time
    async def test_five_seconds_of_undecodable_frames_are_carrier_loss(self) -> None:
        bad = range(100, 350)
        messages = [self.media_message(n, "%" if n in bad else FRAME) for n in range(450)]
        harness = await self.play(messages)
        assert self.gaps(harness) == [(2000, 7000, GapCause.CARRIER_LOSS)]
        assert harness.ended.duration_ms == 9000

    @in_virtual_time
    async def test_audio_held_until_the_start_is_not_silence(self) -> None:
        async with running_stream(adapter=TestFreeSwitch.adapter()) as (harness, task):
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
