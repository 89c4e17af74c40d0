"""Whole calls with servers of Mistral's protocol that differ in what its documents leave open."""

import asyncio

import pytest

from gateway.upstream.dialects.mistral import Mistral
from tests.gateway.calls.stream_harness import in_virtual_time
from tests.gateway.vendors import codes
from tests.gateway.vendors.peers import PeerTransport, Serve, assert_whole, call
from tests.gateway.vendors.voxtral3 import Habits, Voxtral3

HABITS = {
    "turns": Habits(),
    "segments": Habits(segments="times"),
    "segments-only": Habits(segments="times", turns=False),
    "neither": Habits(turns=False),
    "null-times": Habits(segments="null"),
    "null-times-only": Habits(segments="null", turns=False),
    "other-texts": Habits(segments="other"),
    "other-texts-only": Habits(segments="other", turns=False),
    "long-segments": Habits(segments="times", segment_error_ms=150),
    "short-segments": Habits(segments="times", segment_ms=1300),
    "bursts": Habits(burst_s=1.5),
    "bursts-neither": Habits(burst_s=1.5, turns=False),
    "bursts-segments": Habits(burst_s=1.5, segments="times"),
    "whole-words": Habits(pieces=False),
    "marks": Habits(punctuation=True),
    "marks-segments": Habits(punctuation=True, segments="times"),
    "marks-neither": Habits(punctuation=True, turns=False),
    "held": Habits(held_words=2),
    "held-neither": Habits(held_words=2, turns=False),
    "language": Habits(language=True),
    "late": Habits(lag_s=1.5),
    "late-segments": Habits(lag_s=1.5, segments="times"),
}
ALL = pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS.keys())
SPEECH = ((3, 700), (1, 2500), (12, 300), (22, 5000), (5, 1100), (4, 0))


def serving(habits: Habits) -> Serve:
    return lambda send: Voxtral3(habits, send)


@ALL
@in_virtual_time
async def test_speech_silence_and_a_hold(habits: Habits) -> None:
    """The call ends in the middle of a word."""
    async with call(PeerTransport(serving(habits)), Mistral(), idle_timeout_s=90) as caller:
        await caller.pause(300)
        for words, pause_ms in SPEECH:
            await caller.say(words)
            await caller.pause(pause_ms)
        await caller.hold(40)
        await caller.say(6, last_ms=280)
    late_ms = round(1000 * (habits.lag_s + habits.burst_s))
    assert_whole(caller, slack_ms=1000 + late_ms)


@ALL
@in_virtual_time
async def test_coughs_and_music_lose_no_word(habits: Habits) -> None:
    """A session that fails because of the music may leave the cough before it to be declared."""
    async with call(PeerTransport(serving(habits)), Mistral()) as caller:
        await caller.say(3)
        await caller.pause(2000)
        await caller.send(codes.music(300))
        await caller.pause(30_000)
        await caller.say(3)
        await caller.send(codes.music(30_000))
        await caller.say(3)
        await caller.pause(2000)
        await caller.send(codes.music(300))
    assert_whole(caller, times=False, streams=None, gaps=True)
    sounds = [(2800, 3900), (34_400, 65_000), (67_600, 68_500)]
    for gap in caller.gaps:
        assert any(a <= gap.from_ms and gap.to_ms <= b for a, b in sounds), gap


@ALL
@in_virtual_time
async def test_a_cough_is_no_gap(habits: Habits) -> None:
    async with call(PeerTransport(serving(habits)), Mistral()) as caller:
        await caller.say(3)
        await caller.pause(2000)
        await caller.send(codes.music(300))
        await caller.pause(30_000)
        await caller.say(3)
    assert_whole(caller, times=False)


@ALL
@in_virtual_time
async def test_lost_connections_repeat_no_word(habits: Habits) -> None:
    async with call(PeerTransport(serving(habits)), Mistral()) as caller:
        loop = asyncio.get_running_loop()
        for lost_s in (0.5, 3.3, 6.9, 8.4, 13.1, 19.7, 24.0):
            loop.call_later(lost_s, lambda: caller.transport.streams[-1].lose())
        for words, pause_ms in ((7, 1500), (1, 600), (12, 3000), (20, 2000), (3, 0)):
            await caller.say(words)
            await caller.pause(pause_ms)
    assert_whole(caller, times=False, streams=8)


@ALL
@in_virtual_time
async def test_rollovers_repeat_no_word(habits: Habits) -> None:
    limits = {"rollover_soft_s": 6, "rollover_hard_s": 10_000}
    async with call(PeerTransport(serving(habits)), Mistral(), **limits) as caller:
        for words, pause_ms in ((20, 1500), (12, 3000), (25, 0)):
            await caller.say(words)
            await caller.pause(pause_ms)
    assert_whole(caller, times=False, streams=None)
    assert len(caller.transport.streams) > 1


@pytest.mark.parametrize("message", ["Failed", {"detail": [{"loc": ["x"], "msg": "failed"}]}])
@pytest.mark.parametrize("segments", ["none", "times"])
@in_virtual_time
async def test_an_error_of_a_session_loses_no_word(message: object, segments: str) -> None:
    failing = Habits(error_s=5.3, message=message, segments=segments)
    serve = serving(failing), serving(Habits(segments=segments))
    async with call(PeerTransport(*serve), Mistral()) as caller:
        await caller.say(20)
    assert_whole(caller, times=False, streams=2)


@pytest.mark.parametrize("segments", ["none", "times"])
@pytest.mark.parametrize("stall", [("A", 9.0), ("A", 0.0), ("B", 31.0), ("C", 0.0), ("D", 9.0)])
@pytest.mark.parametrize("turns", [True, False])
@in_virtual_time
async def test_a_stall_loses_no_word(stall: tuple[str, float], segments: str, turns: bool) -> None:
    habits = Habits(segments=segments, turns=turns)
    stalled = Habits(segments=segments, turns=turns, stall=stall[0], stall_s=stall[1])
    async with call(PeerTransport(serving(stalled), serving(habits)), Mistral()) as caller:
        await caller.say(10)
        await caller.pause(1500)
        await caller.say(25)
    assert_whole(caller, times=False, streams=2)
