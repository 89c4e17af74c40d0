"""The engine transcribes real speech with the real model, faster than real time."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from container.cpu.clock import TokenClock
from container.cpu.model import MoonshineModel
from container.cpu.moonshine import MoonshineTranscriber
from container.cpu.server import Engine
from container.cpu.settings import Settings
from tests.container.cpu.dialogue import MODEL, dialogue, serving
from tests.speech import TWO_CITIES, plain_words, telephone_recording, word_error_rate

pytestmark = pytest.mark.speech


@pytest.fixture
async def url() -> AsyncIterator[str]:
    model = MoonshineModel()
    engine = Engine(Settings(), lambda on_failed: MoonshineTranscriber(model, on_failed))
    async with serving(engine) as served:
        yield served


async def transcript(url: str, pcm: bytes) -> str:
    async with dialogue(url) as client:
        await client.update(MODEL)
        await client.commit()
        for begin in range(0, len(pcm), 2560):
            await client.append(pcm[begin : begin + 2560])
        await client.commit(final=True)
        deltas, done = await client.until_done()
    assert len(deltas) == TokenClock().total(len(pcm) // 2)
    assert all(text.startswith((" ", ",", ";", ":", ".", "!", "?")) for text in deltas if text)
    return str(done["text"])


async def test_two_simultaneous_calls_are_transcribed(url: str) -> None:
    cities, couple = await asyncio.gather(
        transcript(url, telephone_recording("two_cities.wav")),
        transcript(url, telephone_recording("endgame_nagg_nell.wav")),
    )
    assert word_error_rate(TWO_CITIES, cities) <= 0.12
    assert plain_words(cities)[-3:] == ["of", "comparison", "only"]
    assert plain_words(couple)[:4] == ["do", "you", "hear", "me"]


async def test_noise_gives_no_words(url: str) -> None:
    rng, time = np.random.default_rng(2), np.arange(48_000) / 16_000
    tones = 3000 * (np.sin(2 * np.pi * 697 * time) + np.sin(2 * np.pi * 1209 * time))
    sounds = [np.zeros(48_000), rng.normal(0, 300, 48_000), tones, rng.normal(0, 2000, 48_000)]
    assert await transcript(url, np.concatenate(sounds).astype("<i2").tobytes()) == ""
