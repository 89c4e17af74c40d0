"""Whole calls with servers of Deepgram that differ in what its documentation leaves open."""

import pytest

from gateway.upstream.dialects.deepgram import Deepgram
from tests.vendors import scenes
from tests.vendors.calls import call
from tests.vendors.deepgram_server import Script, serving
from tests.vendors.servers import LOST
from tests.vendors.socket_loop import in_virtual_time
from tests.vendors.words import music

SCRIPTS = {
    "usual": Script(),
    "shrinking": Script(shape="shrink"),
    "vanishing": Script(shape="vanish"),
    "guessing": Script(shape="guess"),
    "no-interims": Script(interim_ms=None),
    "no-silence": Script(silence="none"),
    "no-silence-no-interims": Script(silence="none", interim_ms=None),
    "final-silence": Script(silence="final"),
    "noise": Script(noise_s=0.0007),
    "overlap": Script(overlap_ms=300),
    "hole": Script(hole_ms=200),
    "no-ends": Script(speech_final=False, utterance_end=False),
    "no-endpointing": Script(endpointing_ms=None, speech_final=False),
    "late-finals": Script(final_s=5.0),
    "late-finals-quiet": Script(final_s=5.0, silence="none"),
    "long-results": Script(result_ms=12_000),
    "short-results": Script(result_ms=1500, interim_ms=400),
    "cut-first": Script(cut="first", result_ms=3100),
    "cut-second": Script(cut="second", result_ms=3100),
    "early-metadata": Script(metadata_early=True),
    "no-duration": Script(metadata_s=False),
    "no-duration-quiet": Script(metadata_s=False, silence="none"),
    "others": Script(others=True),
    "repeats": Script(repeats=True),
    "no-words": Script(words=False),
    "stuck": Script(stuck=True),
}
FEW = ["usual", "late-finals", "cut-second", "no-silence-no-interims", "stuck"]
DEEPGRAM = Deepgram()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@in_virtual_time
async def test_each_word_arrives_once(script: Script) -> None:
    """In a call with a cough, a lost connection, a hold, and a hang-up in the middle of a word."""
    async with serving(script) as server:
        async with call(server.url, DEEPGRAM, idle_timeout_s=90) as caller:
            await scenes.talk_and_cough(caller)
            await caller.say(5)
            server.end(LOST)
            await caller.say(4)
            await caller.pause(1100)
            await caller.hold(25)
            await caller.say(6, last_ms=280)
        assert len(server.peers) <= 3  # the cough may have no answer, too
    caller.assert_whole(times=script.words, delta_times=script.words)


@in_virtual_time
async def test_coughs_and_music_are_no_gap() -> None:
    async with serving(Script()) as server:
        async with call(server.url, DEEPGRAM) as caller:
            await scenes.make_sounds(caller)
        assert len(server.peers) <= 7
    caller.assert_whole(times=False)


@in_virtual_time
async def test_minutes_of_music_without_an_answer_do_not_end_the_call() -> None:
    """Nothing shows that it is music. What no session has answered is declared."""
    async with (
        serving(Script(silence="none")) as server,
        call(server.url, DEEPGRAM) as caller,
    ):
        await caller.say(3)
        await caller.send(music(120_000))
        await caller.pause(12_000)
        await caller.say(3)
    caller.assert_whole(times=False, gaps=True)
    assert all(gap.from_ms >= 1100 and gap.to_ms <= 121_200 for gap in caller.gaps)


@pytest.mark.parametrize("name", FEW)
@in_virtual_time
async def test_lost_connections_repeat_no_word(name: str) -> None:
    async with serving(SCRIPTS[name]) as server:
        async with call(server.url, DEEPGRAM) as caller:
            await scenes.talk_over_lost_connections(caller, server)
        assert len(server.peers) == scenes.CONNECTIONS
    caller.assert_whole(delta_times=True)


@pytest.mark.parametrize("name", FEW)
@in_virtual_time
async def test_rollovers_repeat_no_word(name: str) -> None:
    async with serving(SCRIPTS[name]) as server:
        async with call(server.url, DEEPGRAM, rollover_soft_s=6) as caller:
            await caller.talk(((20, 1500), (12, 3000), (8, 0)))
        assert len(server.peers) > 1
    caller.assert_whole(delta_times=True)


@in_virtual_time
async def test_a_session_that_waits_for_a_pause_is_kept_open() -> None:
    """It receives no audio for up to 10 s, after which the server would close it."""
    async with serving(Script()) as server:
        server.open_s = 1.5
        async with call(server.url, DEEPGRAM, rollover_soft_s=3) as caller:
            await caller.talk(((8, 2000), (31, 1500), (2, 0)))
        assert server.peers[1].controls[:2] == ["KeepAlive", "KeepAlive"]
    caller.assert_whole()
