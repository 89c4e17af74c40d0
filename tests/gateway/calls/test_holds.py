"""A stream without media: holds, silence that the carrier omits, words that arrive late."""

import asyncio
import audioop
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.calls.termination import IDLE
from gateway.carriers.events import CallStarted
from gateway.carriers.protocols.pcm_socket import PcmSocketAdapter
from gateway.transcript.events import FinalReason, GapCause, TranscriptFinal, TranscriptGap
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

FRAME_MS = 20
LOUD_RMS = 5000  # above the ringing of the resampler's filter, below the speech that the tests send


def answering(
    text: Callable[[int, bool], str] = lambda _, is_loud: " w" if is_loud else "",
    *,
    token_s: float = 0.0,
) -> ScriptedTransport:
    """Return a model that sends `text(number, is_loud)` per 80 ms, `token_s` after the last one."""

    def greet(stream: ScriptedStream) -> None:
        audio = bytearray()
        number = 0
        work: asyncio.Queue[bool | None] = asyncio.Queue()  # loud or not; None: the final commit

        def receive(message: dict[str, Any]) -> None:
            audio.extend(base64.b64decode(message.get("audio", "")))
            is_final = message.get("final", False)
            while len(audio) >= 2560 or (is_final and audio):
                work.put_nowait(audioop.rms(bytes(audio[:2560]), 2) > LOUD_RMS)
                del audio[:2560]
            if is_final:
                work.put_nowait(None)

        async def send_tokens() -> None:
            nonlocal number
            while not stream.aborted and (is_loud := await work.get()) is not None:
                await asyncio.sleep(token_s)
                if not stream.aborted:
                    stream.delta(text(number, is_loud))
                    number += 1
            if not stream.aborted:
                stream.done()

        stream.on_sent = receive
        stream.sending = asyncio.create_task(send_tokens())  # type: ignore[attr-defined]  # keeps the task
        stream.created()

    return ScriptedTransport(greet)


def words_until(tokens: int) -> Callable[[int, bool], str]:
    """Return a text function: a word for each of the first `tokens` tokens, then none."""
    return lambda number, _: f" w{number}" if number < tokens else ""


async def send(harness: StreamHarness, from_ms: int, to_ms: int, *, code: int = 0) -> None:
    """Send frames of 20 ms with timestamps, in real time."""
    for at_ms in range(from_ms, to_ms, FRAME_MS):
        payload = base64.b64encode(bytes([code]) * 160).decode()
        media = {"track": "inbound", "payload": payload, "timestamp": str(at_ms)}
        harness.feed("media", media=media)
        await asyncio.sleep(FRAME_MS / 1000)


async def hang_up(harness: StreamHarness, task: "asyncio.Task[Any]") -> None:
    harness.feed("stop")
    await asyncio.wait_for(task, 100)


class TestHold:
    @in_virtual_time
    async def test_hold_of_an_hour_does_not_end_a_stream_whose_peer_answers_pings(self) -> None:
        """Symptom: closed as `media-timeout` after 120 s on hold; the rest was not transcribed."""
        transport = answering()
        async with running_stream(transport, silence_timeout_s=1800, max_call_s=14_400) as (
            harness,
            task,
        ):
            harness.start()
            await send(harness, 0, 2000)
            await asyncio.sleep(3600)
            await send(harness, 3_602_000, 3_604_000)
            await hang_up(harness, task)
        assert harness.ended.reason == "carrier-stopped"
        first, second = harness.of(TranscriptFinal)
        assert first.end_ms <= 2000
        assert second.start_ms >= 3_602_000

    @in_virtual_time
    async def test_idle_limit_ends_a_stream_whose_peer_is_not_pinged(self) -> None:
        async with running_stream(answering(), is_probed=False, idle_timeout_s=120) as (
            harness,
            task,
        ):
            harness.start()
            await send(harness, 0, 2000)
            assert await asyncio.wait_for(task, 130) == IDLE

    @in_virtual_time
    async def test_received_silence_ends_a_stream_and_a_hold_does_not_count(self) -> None:
        async with running_stream(answering(lambda *_: ""), silence_timeout_s=60) as (
            harness,
            task,
        ):
            harness.start()
            await send(harness, 0, 30_000, code=0xFF)
            await asyncio.sleep(600)  # a hold does not count as silence
            for _ in range(20):
                await send(harness, 630_000, 632_000, code=0xFF)
                assert harness.stream.termination is None or harness.ended.reason == "silence"
            await asyncio.wait_for(task, 10)
        assert harness.ended.reason == "silence"

    @in_virtual_time
    async def test_maximum_duration_ends_a_stream_on_hold(self) -> None:
        async with running_stream(answering(), max_call_s=600) as (harness, task):
            harness.start()
            await send(harness, 0, 2000)
            await asyncio.wait_for(task, 610)
        assert harness.ended.reason == "max-duration"

    @pytest.mark.parametrize("hold_ms", [4_000, 20_000, 36_000, 124_000])
    @pytest.mark.parametrize("before_ms", [2000, 2040, 1980])
    def test_segment_is_closed_when_a_hold_begins_and_no_final_spans_it(
        self, hold_ms: int, before_ms: int
    ) -> None:
        """Symptom: one final from 2000 to 38078 ms, published only at the hang-up."""

        @in_virtual_time
        async def play() -> None:
            async with running_stream(answering()) as (harness, task):
                harness.start()
                await send(harness, 0, before_ms)
                await asyncio.sleep(hold_ms / 1000)
                if hold_ms > 10_000:
                    assert len(harness.of(TranscriptFinal)) == 1
                await send(harness, before_ms + hold_ms, before_ms + hold_ms + 2000)
                await hang_up(harness, task)
            gaps = harness.of(TranscriptGap)
            assert [(g.from_ms, g.to_ms) for g in gaps] == [(before_ms, before_ms + hold_ms)]
            assert gaps[0].cause is GapCause.NOT_SENT
            for final in harness.of(TranscriptFinal):
                begins_before = final.start_ms < before_ms
                assert not (begins_before and final.end_ms > before_ms + hold_ms)

        play()

    @in_virtual_time
    async def test_jump_of_the_timestamps_without_a_stall_is_carrier_loss(self) -> None:
        async with running_stream(answering(lambda *_: "")) as (harness, task):
            harness.start()
            await send(harness, 0, 2000)
            await send(harness, 7000, 9000)
            await hang_up(harness, task)
        [gap] = harness.of(TranscriptGap)
        assert gap.cause is GapCause.CARRIER_LOSS


class TestLateWords:
    @in_virtual_time
    async def test_late_words_are_added_to_the_segment_of_their_audio(self) -> None:
        """Symptom: a sentence was split; its end was in a segment closed only by the hang-up."""

        def late(number: int, _: bool) -> str:
            # The third word is 2 s after the second.
            return {0: " one", 5: " two", 30: " three"}.get(number, "")

        async with running_stream(answering(late, token_s=0.02)) as (harness, _):
            harness.start()
            await send(harness, 0, 800)
            await asyncio.sleep(10)
            [final] = harness.of(TranscriptFinal)
            assert final.text == "one two three"
            assert final.reason is FinalReason.PAUSE
            assert final.end_ms <= 800

    @in_virtual_time
    async def test_segment_on_an_idle_track_is_closed_once_a_slow_model_has_answered(self) -> None:
        """Symptom: the model was slower than the padding; its final was 36 s late."""
        async with running_stream(answering(words_until(60), token_s=0.2)) as (harness, _):
            harness.start()
            await send(harness, 0, 5000)
            await asyncio.sleep(36)
            assert [final.reason for final in harness.of(TranscriptFinal)] == [FinalReason.PAUSE]
            said = " ".join(final.text for final in harness.of(TranscriptFinal))
            assert said == " ".join(f"w{number}" for number in range(60))


class TestOmittedSilence:
    """A carrier without timestamps that sends nothing during silence."""

    @staticmethod
    def adapter() -> PcmSocketAdapter:
        form = TrackFormat("inbound", Encoding.PCMU, 8000)
        start = CallStarted("CA1", "MZ1", (form,))

        def parse_start(message: bytes) -> CallStarted:
            json.loads(message)
            return start

        return PcmSocketAdapter(parse_start)

    @in_virtual_time
    async def test_media_clock_follows_arrival_after_omitted_silence(self) -> None:
        """Symptom: a call of 225 s had 208 s on the media clock, and no gap was declared."""
        async with running_stream(answering(), self.adapter()) as (harness, task):
            harness.start()
            for _ in range(3):
                for _ in range(100):
                    harness.stream.receive_binary(bytes(160))
                    await asyncio.sleep(0.02)
                await asyncio.sleep(5)
            for _ in range(100):
                harness.stream.receive_binary(bytes(160))
                await asyncio.sleep(0.02)
            await settle()
            harness.stream.end(IDLE)
            await asyncio.wait_for(task, 100)
        assert abs(harness.ended.duration_ms - 23_000) <= 40
        gaps = harness.of(TranscriptGap)
        assert [g.cause for g in gaps] == [GapCause.NOT_SENT] * 3
        assert all(abs(g.to_ms - g.from_ms - 5000) <= 40 for g in gaps)
        starts = {round(final.start_ms / 7000) for final in harness.of(TranscriptFinal)}
        assert starts == {0, 1, 2, 3}
