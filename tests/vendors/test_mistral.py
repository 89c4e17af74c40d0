"""Whole calls with servers of Mistral's protocol that differ in what its documents leave open."""

import asyncio
from dataclasses import replace

import pytest

from gateway.upstream.dialects.mistral import Mistral
from tests.vendors import scenes
from tests.vendors.calls import call
from tests.vendors.mistral_server import Script, serving
from tests.vendors.servers import LOST
from tests.vendors.socket_loop import in_virtual_time

SCRIPTS = {
    "turns": Script(),
    "segments": Script(segments="times"),
    "segments-only": Script(segments="times", turns=False),
    "neither": Script(turns=False),
    "null-times": Script(segments="null"),
    "null-times-only": Script(segments="null", turns=False),
    "other-texts": Script(segments="other"),
    "other-texts-only": Script(segments="other", turns=False),
    "long-segments": Script(segments="times", segment_error_ms=150),
    "short-segments": Script(segments="times", segment_ms=1300),
    "bursts": Script(burst_s=1.5),
    "bursts-neither": Script(burst_s=1.5, turns=False),
    "bursts-segments": Script(burst_s=1.5, segments="times"),
    "whole-words": Script(pieces=False),
    "marks": Script(punctuation=True),
    "marks-segments": Script(punctuation=True, segments="times"),
    "marks-neither": Script(punctuation=True, turns=False),
    "held": Script(held_words=2),
    "held-neither": Script(held_words=2, turns=False),
    "language": Script(language=True),
    "late": Script(lag_s=1.5),
    "late-segments": Script(lag_s=1.5, segments="times"),
}
FEW = ["turns", "segments", "neither", "held", "null-times-only"]
MISTRAL = Mistral()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@in_virtual_time
async def test_each_word_arrives_once(script: Script) -> None:
    """In a call with a cough, a hold, and a hang-up in the middle of a word."""
    async with serving(script) as server:
        async with call(server.url, MISTRAL, idle_timeout_s=90) as caller:
            await scenes.talk_and_cough(caller)
            await caller.talk(((5, 1100), (4, 0)))
            await caller.hold(25)
            await caller.say(6, last_ms=280)
        assert len(server.peers) == 1
    late_ms = round(1000 * (script.lag_s + script.burst_s))
    caller.assert_whole(delta_times=True, slack_ms=1000 + late_ms)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@in_virtual_time
async def test_a_lost_connection_and_a_rollover_repeat_no_word(script: Script) -> None:
    async with serving(script) as server:
        async with call(server.url, MISTRAL, rollover_soft_s=6) as caller:
            asyncio.get_running_loop().call_later(2.6, server.end, LOST)
            await caller.talk(((8, 1500), (18, 3000), (6, 0)))
        assert len(server.peers) > 2
    caller.assert_whole(times=False)


@pytest.mark.parametrize("name", FEW)
@in_virtual_time
async def test_lost_connections_repeat_no_word(name: str) -> None:
    async with serving(SCRIPTS[name]) as server:
        async with call(server.url, MISTRAL) as caller:
            await scenes.talk_over_lost_connections(caller, server)
        assert len(server.peers) == scenes.CONNECTIONS
    caller.assert_whole(times=False)


@pytest.mark.parametrize("name", FEW)
@in_virtual_time
async def test_coughs_and_music_lose_no_word(name: str) -> None:
    """A session that fails because of the music may leave the cough before it to be declared."""
    async with serving(SCRIPTS[name]) as server, call(server.url, MISTRAL) as caller:
        await scenes.make_sounds(caller)
    caller.assert_whole(times=False, gaps=True)
    for gap in caller.gaps:
        assert any(a <= gap.from_ms and gap.to_ms <= b for a, b in scenes.SOUNDS_MS), gap


@pytest.mark.parametrize("message", ["Failed", {"detail": [{"loc": ["x"], "msg": "failed"}]}])
@pytest.mark.parametrize("segments", ["none", "times"])
@in_virtual_time
async def test_an_error_of_a_session_loses_no_word(message: object, segments: str) -> None:
    failing = Script(error_s=5.3, message=message, segments=segments)
    async with serving(failing, Script(segments=segments)) as server:
        async with call(server.url, MISTRAL) as caller:
            await caller.say(20)
        assert len(server.peers) == 2
    caller.assert_whole(times=False)


@pytest.mark.parametrize("segments", ["none", "times"])
@pytest.mark.parametrize("stall", [("A", 9.0), ("A", 0.0), ("B", 31.0), ("C", 0.0), ("D", 9.0)])
@pytest.mark.parametrize("turns", [True, False])
@in_virtual_time
async def test_a_stall_loses_no_word(stall: tuple[str, float], segments: str, turns: bool) -> None:
    usual = Script(segments=segments, turns=turns)
    stalled = replace(usual, stall=stall[0], stall_s=stall[1])
    async with serving(stalled, usual) as server:
        async with call(server.url, MISTRAL) as caller:
            await caller.talk(((10, 1500), (24, 0)))
            await caller.say(1, last_ms=300)
        assert len(server.peers) == 2
    caller.assert_whole(times=False)
