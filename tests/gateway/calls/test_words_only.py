"""A server whose model is not the one that the dialect is for, and one that merges deltas."""

import asyncio

import pytest

from gateway.calls.words_only import WordsOnlyWatch
from gateway.transcript.events import Status, TranscriptFinal
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.calls.test_sessions import answering, talk
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

# Answers and empty ones per second, and seconds until the mismatch is found; None: it is not.
ROWS: dict[str, tuple[list[tuple[int, int]], int | None]] = {
    "words only, three a second": ([(3, 0)] * 20, 6),
    "words only, after silence": ([(0, 0)] * 5 + [(3, 0)] * 10, 8),
    "words, and an empty answer, each 5 s": (
        ([(0, 0)] * 4 + [(4, 1)] + ([(0, 0)] * 4 + [(12, 1)]) * 5),
        20,
    ),
    "words only, each 5 s": (([(0, 0)] * 4 + [(3, 0)] + ([(0, 0)] * 4 + [(9, 0)]) * 3), 10),
    "a word of a very slow server": ([(1, 0), (1, 0), (1, 1), (1, 1)] * 10, None),
    "Voxtral": ([(12, 9), (13, 8)] * 10, None),
    "Voxtral on a slow server": ([(3, 2)] * 20, None),
    "a word for each 80 ms, in real time": ([(12, 0), (13, 0)] * 10, None),
    "stalled, then a burst": (([(12, 0)] + [(0, 0)] * 5 + [(60, 0)]) * 3, None),
    "nothing at all": ([(0, 0)] * 20, None),
}


@pytest.mark.parametrize(("seconds", "expected"), ROWS.values(), ids=ROWS)
def test_samples(seconds: list[tuple[int, int]], expected: int | None) -> None:
    watch, answers, empty, found = WordsOnlyWatch(), 0, 0, None
    for second, (more, more_empty) in enumerate(seconds, start=1):
        answers, empty = answers + more, empty + more_empty
        answered_ms = 80 * answers
        lag_ms = 1000 * second - answered_ms
        is_found = watch.sample(
            float(second), answers=answers, empty=empty, answered_ms=answered_ms, lag_ms=lag_ms
        )
        found = found or (second if is_found else None)
    assert found == expected


def sending_words_only(stream: ScriptedStream) -> None:
    """Script a model that sends a word for each 320 ms of audio, and no other delta."""
    count = 0

    def on_sent(message: dict[str, object]) -> None:
        nonlocal count
        count += "audio" in message
        if "audio" in message and count % 4 == 0:
            stream.delta(" word")

    stream.on_sent = on_sent
    stream.created()


@in_virtual_time
async def test_a_server_that_sends_words_only_ends_the_stream_by_name() -> None:
    """Symptom: 87 reconnects, 612 words for 264, and 39.8 s of false gaps."""
    transport = ScriptedTransport(sending_words_only)
    async with running_stream(transport) as (harness, task):
        harness.start()
        await talk(harness, 10)
        harness.feed("stop")
        await task
        assert (harness.ended.status, harness.ended.reason) == (Status.FAILED, "model-mismatch")
        assert len(transport.streams) == 1
        assert failures(harness, "model-mismatch") == 1


@in_virtual_time
async def test_the_header_of_qwen3_asr_ends_the_stream_by_name() -> None:
    async with running_stream() as (harness, task):
        harness.start()
        await settle()
        harness.audio(65)
        for text in ("language", " English", "<asr_text>", "Hello", ""):
            harness.peer.delta(text)
        harness.feed("stop")
        await task
        assert harness.ended.reason == "model-mismatch"


def failures(harness: StreamHarness, reason: str) -> float | None:
    labels = {"fault": "ours", "reason": reason}
    return harness.metrics.registry.get_sample_value("callscribe_session_failures_total", labels)


@pytest.mark.parametrize(("tokens", "outcomes"), [(101, ["worked"]), (102, ["worked", "doubted"])])
@in_virtual_time
async def test_merged_deltas_are_reported_to_the_endpoint(tokens: int, outcomes: list[str]) -> None:
    """The server counts more tokens than it has sent deltas."""
    async with running_stream(ScriptedTransport(answering)) as (harness, task):
        harness.start()
        await talk(harness, 8)
        harness.feed("stop")
        await asyncio.sleep(0.1)
        usage = {"prompt_tokens": 39, "completion_tokens": tokens, "total_tokens": 39 + tokens}
        harness.peer.say("transcription.done", text="", usage=usage)
        await task
        assert harness.ended.status is Status.COMPLETED
        [slot] = harness.reservation.slots
        assert slot.outcomes == outcomes
        assert sum(len(final.text.split()) for final in harness.of(TranscriptFinal)) == 101
