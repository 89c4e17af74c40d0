"""A stream while its media are away: holds, silence that the wire leaves out, late words."""

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
from tests.gateway.calls.stream_harness import StreamHarness, living, virtually
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

FRAME_MS = 20
LOUD_RMS = 5000  # more than a filter that rings on, less than our speech


def answering(
    text: Callable[[int, bool], str] = lambda _, is_loud: " w" if is_loud else "",
    *,
    token_s: float = 0.0,
) -> ScriptedTransport:
    """A model that answers each 80 ms with `text(number, is_loud)`, `token_s` after the last."""

    def greet(stream: ScriptedStream) -> None:
        audio = bytearray()
        number = 0
        work: asyncio.Queue[bool | None] = asyncio.Queue()  # loud or not; None: the final commit

        def take(message: dict[str, Any]) -> None:
            audio.extend(base64.b64decode(message.get("audio", "")))
            is_final = message.get("final", False)
            while len(audio) >= 2560 or (is_final and audio):
                work.put_nowait(audioop.rms(bytes(audio[:2560]), 2) > LOUD_RMS)
                del audio[:2560]
            if is_final:
                work.put_nowait(None)

        async def speak() -> None:
            nonlocal number
            while not stream.aborted and (is_loud := await work.get()) is not None:
                await asyncio.sleep(token_s)
                if not stream.aborted:
                    stream.delta(text(number, is_loud))
                    number += 1
            if not stream.aborted:
                stream.done()

        stream.on_sent = take
        stream.speaking = asyncio.create_task(speak())  # type: ignore[attr-defined]  # kept
        stream.created()

    return ScriptedTransport(greet)


def words_until(tokens: int) -> Callable[[int, bool], str]:
    """A word with each token, so many; then silence."""
    return lambda number, _: f" w{number}" if number < tokens else ""


async def send(harness: StreamHarness, from_ms: int, to_ms: int, *, code: int = 0) -> None:
    """Send stamped frames of 20 ms in real time."""
    for at_ms in range(from_ms, to_ms, FRAME_MS):
        payload = base64.b64encode(bytes([code]) * 160).decode()
        media = {"track": "inbound", "payload": payload, "timestamp": str(at_ms)}
        harness.feed("media", media=media)
        await asyncio.sleep(FRAME_MS / 1000)


async def hang_up(harness: StreamHarness, task: "asyncio.Task[Any]") -> None:
    harness.feed("stop")
    await asyncio.wait_for(task, 100)


class TestHold:
    @virtually
    async def test_a_stream_without_media_lives_while_its_peer_answers_pings(self) -> None:
        """Symptom: closed as `media-timeout` after 120 s of hold, the rest of the call unheard."""
        transport = answering()
        async with living(transport, silence_timeout_s=1800, max_call_s=14_400) as (harness, task):
            harness.start()
            await send(harness, 0, 2000)
            await asyncio.sleep(3600)
            await send(harness, 3_602_000, 3_604_000)
            await hang_up(harness, task)
        assert harness.ended.reason == "carrier-stopped"
        first, second = harness.of(TranscriptFinal)
        assert first.end_ms <= 2000
        assert second.start_ms >= 3_602_000

    @virtually
    async def test_a_peer_that_cannot_answer_pings_has_the_idle_limit(self) -> None:
        async with living(answering(), is_probed=False, idle_timeout_s=120) as (
            harness,
            task,
        ):
            harness.start()
            await send(harness, 0, 2000)
            assert await asyncio.wait_for(task, 130) == IDLE

    @virtually
    async def test_silence_that_is_sent_still_ends_a_stream(self) -> None:
        async with living(answering(lambda *_: ""), silence_timeout_s=60) as (harness, task):
            harness.start()
            await send(harness, 0, 30_000, code=0xFF)
            await asyncio.sleep(600)  # a hold is no silence
            for _ in range(20):
                await send(harness, 630_000, 632_000, code=0xFF)
                assert harness.stream.termination is None or harness.ended.reason == "silence"
            await asyncio.wait_for(task, 10)
        assert harness.ended.reason == "silence"

    @virtually
    async def test_the_longest_age_still_ends_it(self) -> None:
        async with living(answering(), max_call_s=600) as (harness, task):
            harness.start()
            await send(harness, 0, 2000)
            await asyncio.wait_for(task, 610)
        assert harness.ended.reason == "max-duration"

    @pytest.mark.parametrize("hold_ms", [4_000, 20_000, 36_000, 124_000])
    @pytest.mark.parametrize("before_ms", [2000, 2040, 1980])
    def test_words_are_final_when_the_hold_begins_and_none_straddles_it(
        self, hold_ms: int, before_ms: int
    ) -> None:
        """Symptom: one final from 2000 to 38078 ms; the last words came with the hang-up."""

        @virtually
        async def play() -> None:
            async with living(answering()) as (harness, task):
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

    @virtually
    async def test_frames_lost_while_others_come_are_still_loss(self) -> None:
        async with living(answering(lambda *_: "")) as (harness, task):
            harness.start()
            await send(harness, 0, 2000)
            await send(harness, 7000, 9000)
            await hang_up(harness, task)
        [gap] = harness.of(TranscriptGap)
        assert gap.cause is GapCause.CARRIER_LOSS


class TestLateWords:
    @virtually
    async def test_late_words_belong_to_the_segment_they_were_said_in(self) -> None:
        """Symptom: a sentence cut in two, its end in a segment that only the hang-up closed."""

        def late(
            number: int, _: bool
        ) -> str:  # the last word comes two seconds after the one before
            return {0: " one", 5: " two", 30: " three"}.get(number, "")

        async with living(answering(late, token_s=0.02)) as (harness, _):
            harness.start()
            await send(harness, 0, 800)
            await asyncio.sleep(10)
            [final] = harness.of(TranscriptFinal)
            assert final.text == "one two three"
            assert final.reason is FinalReason.PAUSE
            assert final.end_ms <= 800

    @virtually
    async def test_a_segment_on_a_quiet_track_is_closed_once_a_slow_engine_is_done(self) -> None:
        """Symptom: an engine slower than the padding; its final came 36 s later."""
        async with living(answering(words_until(60), token_s=0.2)) as (harness, _):
            harness.start()
            await send(harness, 0, 5000)
            await asyncio.sleep(36)
            assert [final.reason for final in harness.of(TranscriptFinal)] == [FinalReason.PAUSE]
            said = " ".join(final.text for final in harness.of(TranscriptFinal))
            assert said == " ".join(f"w{number}" for number in range(60))


class TestLeftOutSilence:
    """A carrier without stamps that sends nothing while nobody speaks."""

    @staticmethod
    def adapter() -> PcmSocketAdapter:
        form = TrackFormat("inbound", Encoding.PCMU, 8000)
        start = CallStarted("CA1", "MZ1", (form,))

        def understand(message: bytes) -> CallStarted:
            json.loads(message)
            return start

        return PcmSocketAdapter(understand)

    @virtually
    async def test_its_media_clock_follows_arrival(self) -> None:
        """Symptom: 225 s of call, 208 s of media clock, nothing declared."""
        async with living(answering(), self.adapter()) as (harness, task):
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
