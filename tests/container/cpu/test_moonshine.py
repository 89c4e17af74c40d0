"""Tracks share one model. The model is scripted; threads and the event loop are real."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from container.cpu.model import ModelError
from container.cpu.moonshine import AHEAD, MoonshineTranscriber, MoonshineTranscription
from container.cpu.server import Engine
from container.cpu.settings import Settings
from tests.container.cpu.dialogue import MODEL, dialogue, serving

RNG = np.random.default_rng(11)
SPEECH = RNG.normal(0, 2000, 16_000).astype("<i2").tobytes()  # 1 s
PAUSE = bytes(32_000)


class CountingModel:
    """Outputs one word per started half second, once `may_return` is set."""

    def __init__(self, *, fails: bool = False) -> None:
        self.may_return = threading.Event()
        self.may_return.set()
        self.started = threading.Semaphore(0)
        self.window_bytes: list[int] = []
        self._fails = fails

    def words(self, pcm: bytes) -> list[str]:
        self.window_bytes.append(len(pcm))
        self.started.release()
        assert self.may_return.wait(20)
        if self._fails:
            raise ModelError("scripted")
        return [f"w{number}" for number in range(-(-len(pcm) // 16_000))]

    def close(self) -> None:
        self.may_return.set()


class Track:
    """A transcription and a way to wait for it."""

    def __init__(self, transcriber: MoonshineTranscriber) -> None:
        self._changed = asyncio.Event()
        self.transcription: MoonshineTranscription = transcriber.begin(self._changed.set)

    async def until_finished(self) -> str:
        """Wait for the end; return the words that were not returned yet."""
        async with asyncio.timeout(20):
            while not self.transcription.finished:
                self._changed.clear()
                await self._changed.wait()
        return self.transcription.next_text(last=True)


@asynccontextmanager
async def transcribing(model: CountingModel) -> AsyncIterator[MoonshineTranscriber]:
    transcriber = MoonshineTranscriber(model, lambda _error: None)
    try:
        yield transcriber
    finally:
        model.may_return.set()
        await asyncio.to_thread(transcriber.close)


@pytest.fixture
def model() -> CountingModel:
    return CountingModel()


async def test_every_window_is_transcribed_once(model: CountingModel) -> None:
    async with transcribing(model) as transcriber:
        track = Track(transcriber)
        for _ in range(3):
            track.transcription.append(PAUSE + SPEECH)
        track.transcription.finish()
        assert (await track.until_finished()).split() == ["w0", "w1", "w2"] * 3


async def test_silence_is_not_passed_to_the_model(model: CountingModel) -> None:
    async with transcribing(model) as transcriber:
        track = Track(transcriber)
        track.transcription.append(PAUSE * 10)
        track.transcription.finish()
        assert track.transcription.finished
        assert track.transcription.confirmed == 160_000
        assert model.window_bytes == []


async def test_a_slow_model_skips_steps_and_gets_the_newest_audio(model: CountingModel) -> None:
    model.may_return.clear()
    async with transcribing(model) as transcriber:
        track = Track(transcriber)
        for begin in range(0, 5 * 32_000, 2560):
            track.transcription.append((SPEECH * 5)[begin : begin + 2560])
        assert transcriber.lag_s == pytest.approx(5.0, abs=0.1)
        track.transcription.finish()
        model.may_return.set()
        text = await track.until_finished()
    assert len(model.window_bytes) == 2  # the first step, then all of it
    assert text.split() == [f"w{number}" for number in range(10)]


async def test_deltas_wait_while_the_model_is_behind(
    model: CountingModel,
) -> None:
    model.may_return.clear()
    async with transcribing(model) as transcriber:
        track = Track(transcriber)
        track.transcription.append(SPEECH * 5)
        assert track.transcription.confirmed == AHEAD
        model.may_return.set()
        track.transcription.finish()
        await track.until_finished()
        assert track.transcription.confirmed == 80_000


async def test_tracks_are_transcribed_in_turn(model: CountingModel) -> None:
    model.may_return.clear()
    async with transcribing(model) as transcriber:
        busy, live = Track(transcriber), Track(transcriber)
        busy.transcription.append((SPEECH + PAUSE) * 8)
        live.transcription.append(SPEECH + PAUSE)
        busy.transcription.finish()
        live.transcription.finish()
        model.may_return.set()
        await live.until_finished()
        # It does not wait for all eight windows of the other track.
        assert len(model.window_bytes) <= 3
        await busy.until_finished()


async def test_an_abandoned_track_starts_no_further_job(model: CountingModel) -> None:
    model.may_return.clear()
    async with transcribing(model) as transcriber:
        gone, live = Track(transcriber), Track(transcriber)
        gone.transcription.append((SPEECH + PAUSE) * 8)
        live.transcription.append(SPEECH + PAUSE)
        gone.transcription.abandon()
        live.transcription.finish()
        model.may_return.set()
        await live.until_finished()
        assert len(model.window_bytes) == 2
        assert transcriber.lag_s == 0


async def test_a_word_is_in_the_delta_of_its_audio(model: CountingModel) -> None:
    """Symptom: words were up to 3 s late on the token clock, and the parties' turns overlapped."""
    async with transcribing(model) as transcriber:
        track, other = Track(transcriber), Track(transcriber)
        track.transcription.append(PAUSE + SPEECH * 4 + PAUSE)
        other.transcription.append(SPEECH)
        other.transcription.finish()
        await other.until_finished()  # its turn came after the first track's only window
        assert track.transcription.confirmed == 96_000
        texts = [track.transcription.next_text(last=False) for _ in range(75)]
    ends_ms = {word: (at + 1) * 80 for at, text in enumerate(texts) for word in text.split()}
    assert list(ends_ms) == [f"w{number}" for number in range(9)]
    assert ends_ms["w0"] == pytest.approx(1400, abs=160)  # it was spoken from 1.0 to 1.5 s
    assert ends_ms["w8"] == pytest.approx(5240, abs=160)  # with a little of the pause


async def test_word_positions_do_not_depend_on_the_number_of_hypotheses(
    model: CountingModel,
) -> None:
    """Words have the position at which they were spoken, even if they are agreed early."""
    async with transcribing(model) as transcriber:
        track = Track(transcriber)
        ends_ms: dict[str, int] = {}
        given = 0
        for begin in range(0, 5 * 32_000, 20_480):
            track.transcription.append((SPEECH * 5)[begin : begin + 20_480])
            while transcriber.lag_s > 0.7:  # noqa: ASYNC110 - the model's thread sets no event
                await asyncio.sleep(0.01)
            while (given + 1) * 1280 <= track.transcription.confirmed - AHEAD + 1280:
                given += 1
                for word in track.transcription.next_text(last=False).split():
                    ends_ms[word] = given * 80
    assert len(ends_ms) >= 6
    for number, word in enumerate(ends_ms):
        assert ends_ms[word] == pytest.approx((number + 1) * 500, abs=400)


async def test_a_failed_model_closes_every_session_and_marks_the_engine_failed() -> None:
    model = CountingModel(fails=True)
    engine = Engine(Settings(), lambda on_failed: MoonshineTranscriber(model, on_failed))
    async with serving(engine) as url, dialogue(url) as talking, dialogue(url) as idle:
        await talking.update(MODEL)
        await talking.commit()
        await talking.append(SPEECH)
        await talking.deltas(1)
        for client in (talking, idle):
            reply = await client.receive()
            assert (reply["type"], reply["code"]) == ("error", "processing_error")
            assert await client.closed() == 1012
        assert engine.failed.is_set()
