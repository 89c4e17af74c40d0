"""Whole calls with servers of Deepgram that differ in what its documentation leaves open."""

import asyncio
from typing import cast

import pytest

from gateway.upstream.dialects.deepgram import Deepgram
from tests.gateway.calls.stream_harness import in_virtual_time
from tests.gateway.vendors import codes
from tests.gateway.vendors.nova import Habits, Nova
from tests.gateway.vendors.peers import PeerTransport, Serve, assert_whole, call

HABITS = {
    "usual": Habits(),
    "shrinking": Habits(shape="shrink"),
    "vanishing": Habits(shape="vanish"),
    "guessing": Habits(shape="guess"),
    "no-interims": Habits(interim_ms=None),
    "no-silence": Habits(silence="none"),
    "no-silence-no-interims": Habits(silence="none", interim_ms=None),
    "final-silence": Habits(silence="final"),
    "noise": Habits(noise_s=0.0007),
    "overlap": Habits(overlap_ms=300),
    "hole": Habits(hole_ms=200),
    "no-ends": Habits(speech_final=False, utterance_end=False),
    "no-endpointing": Habits(endpointing_ms=None, speech_final=False),
    "late-finals": Habits(final_s=5.0),
    "late-finals-quiet": Habits(final_s=5.0, silence="none"),
    "long-results": Habits(result_ms=12_000),
    "short-results": Habits(result_ms=1500, interim_ms=400),
    "cut-first": Habits(cut="first", result_ms=3100),
    "cut-second": Habits(cut="second", result_ms=3100),
    "early-metadata": Habits(metadata_early=True),
    "no-duration": Habits(metadata_s=False),
    "no-duration-quiet": Habits(metadata_s=False, silence="none"),
    "others": Habits(others=True),
    "repeats": Habits(repeats=True),
    "no-words": Habits(words=False),
    "stuck": Habits(stuck=True),
}
ALL = pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS.keys())


def serving(habits: Habits) -> Serve:
    return lambda send: Nova(habits, send)


SPEECH = ((3, 700), (1, 2500), (12, 300), (22, 5000), (5, 1100), (4, 0))


@ALL
@in_virtual_time
async def test_speech_silence_sounds_and_a_hold(habits: Habits) -> None:
    """The call ends in the middle of a word."""
    async with call(PeerTransport(serving(habits)), Deepgram(), idle_timeout_s=90) as caller:
        await caller.pause(300)
        for words, pause_ms in SPEECH:
            await caller.say(words)
            await caller.pause(pause_ms)
        await caller.hold(40)
        await caller.say(6, last_ms=280)
    assert_whole(caller, times=habits.words)


@ALL
@in_virtual_time
async def test_coughs_and_music_are_no_gap(habits: Habits) -> None:
    async with call(PeerTransport(serving(habits)), Deepgram()) as caller:
        await caller.say(3)
        await caller.pause(2000)
        await caller.send(codes.music(300))
        await caller.pause(30_000)
        await caller.say(3)
        await caller.send(codes.music(30_000))
        await caller.say(3)
        await caller.pause(2000)
        await caller.send(codes.music(300))
    assert_whole(caller, times=False, streams=None, gaps=habits.stuck)
    assert len(caller.transport.streams) <= 7


@in_virtual_time
async def test_minutes_of_music_without_an_answer_do_not_end_the_call() -> None:
    """Nothing shows that it is music. What no session has answered is declared."""
    transport = PeerTransport(serving(Habits(silence="none")))
    async with call(transport, Deepgram()) as caller:
        await caller.say(3)
        await caller.send(codes.music(120_000))
        await caller.pause(12_000)
        await caller.say(3)
    assert_whole(caller, times=False, streams=None, gaps=True)
    assert all(gap.from_ms >= 1200 and gap.to_ms <= 121_200 for gap in caller.gaps)


@ALL
@in_virtual_time
async def test_lost_connections_repeat_no_word(habits: Habits) -> None:
    async with call(PeerTransport(serving(habits)), Deepgram()) as caller:
        loop = asyncio.get_running_loop()
        for lost_s in (0.5, 3.3, 6.9, 8.4, 13.1, 19.7, 24.0):
            loop.call_later(lost_s, lambda: caller.transport.streams[-1].lose())
        for words, pause_ms in ((7, 1500), (1, 600), (12, 3000), (20, 2000), (3, 0)):
            await caller.say(words)
            await caller.pause(pause_ms)
    assert_whole(caller, times=habits.words, streams=8)


@ALL
@in_virtual_time
async def test_rollovers_repeat_no_word(habits: Habits) -> None:
    limits = {"rollover_soft_s": 6, "rollover_hard_s": 10_000}
    async with call(PeerTransport(serving(habits)), Deepgram(), **limits) as caller:
        for words, pause_ms in ((20, 1500), (12, 3000), (25, 0)):
            await caller.say(words)
            await caller.pause(pause_ms)
    assert_whole(caller, times=habits.words, streams=None)
    assert len(caller.transport.streams) > 1


@in_virtual_time
async def test_a_session_that_waits_for_a_pause_is_kept_open() -> None:
    """It receives no audio for up to 10 s, after which the server would close it."""
    limits = {"rollover_soft_s": 3, "rollover_hard_s": 10_000}
    transport = PeerTransport(serving(Habits()), open_s=1.5)
    async with call(transport, Deepgram(), **limits) as caller:
        await caller.say(8)
        await caller.pause(2000)
        await caller.say(31)
        await caller.pause(1500)
        await caller.say(2)
    assert_whole(caller, streams=None)
    waiting = cast(Nova, caller.transport.streams[1].peer)
    assert waiting.controls[:2] == ["KeepAlive", "KeepAlive"]
