"""Qwen3-ASR's output on the Realtime API: segments of 5 s with headers."""

import json
import zlib
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container.cpu.clock import TokenClock
from container.cpu.generation import Rules
from container.cpu.segments import SegmentGeneration
from tests.container.cpu.test_session import COMMIT, FINAL, UPDATE, Client, append

RULES = Rules("m", TokenClock(480), segment_tokens=128)
SECOND = 32_000  # bytes
NOISE = np.random.default_rng(1).bytes(20 * SECOND)


def deltas(replies: Iterable[dict[str, object]]) -> list[str]:
    return [str(each["delta"]) for each in replies if each["type"] == "transcription.delta"]


def checksums(pcm: bytes) -> list[str]:
    return [f"{zlib.crc32(pcm[at : at + 2560]):08x}" for at in range(0, len(pcm), 2560)]


def test_a_segment_is_a_burst_after_5_s() -> None:
    client = Client(RULES)
    assert client.send(UPDATE, COMMIT, append(NOISE[: 5 * SECOND - 2])) == []
    first = client.send(append(NOISE[5 * SECOND - 2 : 5 * SECOND]))
    words = checksums(NOISE[: 62 * 2560])  # 62.5 tokens: a word belongs to where it ends
    assert deltas(first) == [
        "language", " English", "<asr_text>", words[0], *(f" {word}" for word in words[1:]), "",
    ]  # fmt: skip


def test_the_rest_follows_the_final_commit_without_padding() -> None:
    client = Client(RULES)
    client.send(UPDATE, COMMIT, append(NOISE[: 5 * SECOND]))
    replies = client.send(append(NOISE[5 * SECOND : 6 * SECOND + 2]), FINAL)
    words = checksums(NOISE[62 * 2560 : 6 * SECOND + 2])
    text = "".join(deltas(replies))
    assert text == f"language English<asr_text>{' '.join(words)}"
    done = replies[-1]
    assert done["text"].endswith(text)
    assert "<asr_text>" in done["text"].removesuffix(text), "the text since the commit"
    tokens = done["usage"]["completion_tokens"]
    assert done["usage"] | {"prompt_tokens": 75, "total_tokens": 75 + tokens} == done["usage"]
    assert tokens == (3 + 62 + 1) + (3 + len(words) + 1)


def test_silence_has_the_language_none() -> None:
    client = Client(RULES)
    replies = client.send(UPDATE, COMMIT, append(bytes(SECOND)), FINAL)
    assert deltas(replies) == ["language", " None", "<asr_text>", ""]


def test_no_audio_has_no_segment() -> None:
    replies = Client(RULES).send(UPDATE, COMMIT, FINAL)
    assert [reply["type"] for reply in replies] == ["transcription.done"]
    assert replies[0]["usage"]["total_tokens"] == 0


@pytest.mark.parametrize(
    ("limit", "words", "has_end"), [(64, 61, False), (65, 62, False), (66, 62, True)]
)
def test_a_segment_is_cut_at_the_limit_of_tokens(limit: int, words: int, has_end: bool) -> None:
    client = Client(Rules("m", TokenClock(480), segment_tokens=limit))
    burst = deltas(client.send(UPDATE, COMMIT, append(NOISE[: 5 * SECOND])))
    assert len(burst) == 3 + words + has_end
    assert (burst[-1] == "") is has_end


@settings(max_examples=50)
@given(st.lists(st.integers(1, 4 * SECOND), min_size=1, max_size=8))
def test_every_sample_is_in_one_word(sizes: list[int]) -> None:
    """However the audio arrives, and in as many segments as it has."""
    client, at = Client(RULES), 0
    replies = client.send(UPDATE, COMMIT)
    for size in sizes:
        replies += client.send(
            append(NOISE[at : at + 2 * size // 2 * 2]) if at < len(NOISE) else COMMIT
        )
        at = min(len(NOISE), at + 2 * size // 2 * 2)
    replies += client.send(FINAL)
    text = "".join(deltas(replies))
    segments = text.split("language English<asr_text>")[1:]
    assert [word for segment in segments for word in segment.split()] == checksums(NOISE[:at])


class Stuck:
    """A transcription that never finishes, and has one word."""

    confirmed = 0
    finished = False

    def append(self, pcm: bytes) -> None:
        """Ignore the audio."""

    def finish(self) -> None:
        """Ignore the end."""

    def abandon(self) -> None:
        """Ignore the end."""

    def next_text(self, *, last: bool) -> str:
        return " word" if last else ""


def test_a_model_that_does_not_finish_ends_with_an_error_and_its_words() -> None:
    generation = SegmentGeneration(64, Stuck())
    generation.append(NOISE[: 6 * SECOND])
    generation.commit_final()
    assert generation.advance() == []
    replies = [json.loads(reply) for reply in generation.fail()]
    assert replies[0]["type"] == "error"
    text = "language None<asr_text>language English<asr_text>word"
    assert ("".join(deltas(replies)), replies[-1]["text"]) == (text, text)
