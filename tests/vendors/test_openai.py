"""Calls to servers of OpenAI's family."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.transcript.events import GapCause
from gateway.upstream.dialects.registry import DialectName, make_dialect
from tests.gateway.calls.stream_harness import WALL_S
from tests.vendors.calls import TALK, call, play
from tests.vendors.openai_server import Script, serving
from tests.vendors.socket_loop import in_virtual_time

OPENAI = make_dialect(DialectName.OPENAI)
SGLANG = make_dialect(DialectName.SGLANG)
LATENCIES_S = (2.5, 0.2, 4.0, 1.0)  # so that items are completed in another order than theirs
OUT_OF_ORDER: Callable[[int], float] = lambda number: LATENCIES_S[number % 4]  # noqa: E731
type Reply = list[dict[str, Any]] | int


def at(number: int, reply: Reply, *, sessions: int = 1) -> Callable[[int, int], Reply | None]:
    """Send a reply to this append of the first sessions."""
    return lambda session, each: reply if session <= sessions and each == number else None


def error(code: str | None, kind: str = "invalid_request_error") -> Reply:
    problem = {"type": kind, "code": code, "message": "m", "param": None, "event_id": None}
    return [{"kind": "error", "error": problem}]


def expiring(session: int, append: int) -> Reply | None:
    """End the first two sessions as a server does whose sessions have a longest time."""
    if session > 2:
        return None
    return {60: error("session_expired"), 61: 1001}.get(append)


UNKNOWN: Reply = [
    {"kind": "a.new.event", "item_id": "x", "deep": {"a": [None, {}]}},
    {"kind": "input_audio_buffer.timeout_triggered", "item_id": "x", "audio_end_ms": 1},
    {"kind": "rate_limits.updated", "rate_limits": []},
]

WHOLE = {
    "text before the commit": Script(),
    "no G.711": Script(has_g711=False),
    "text after the commit": Script(deltas="late"),
    "only whole text": Script(deltas="none"),
    "any order": Script(delay_s=OUT_OF_ORDER),
    "any order, text after the commit": Script(deltas="late", delay_s=OUT_OF_ORDER),
    "another text at the end": Script(spell=lambda text: text.title() + "." if text else ""),
    "created late": Script(created_after_s=4.0),
    "updated twice": Script(updates=2),
    "items without a predecessor": Script(chain=False),
    "ids again in each session": Script(item_id=lambda _, n: f"item_{n}", on_append=at(50, 0)),
    "two ids in turns": Script(item_id=lambda _, n: f"item_{n % 2}", delay_s=lambda _: 0.1),
    "one id": Script(item_id=lambda _, n: "item", delay_s=lambda _: 0.1),
    "voice detection that is only reported": Script(vad="reported"),
    "voice detection": Script(vad="on"),
    "voice detection, text after the commit": Script(vad="on", deltas="late"),
    "voice detection, any order": Script(vad="on", deltas="late", delay_s=OUT_OF_ORDER),
    "voice detection, only whole text": Script(vad="on", deltas="none"),
    "voice detection, errors without an event": Script(vad="on", names_commit=False),
    "voice detection, connection lost": Script(vad="on", on_append=at(100, 0)),
    "unknown events": Script(on_append=lambda session, number: UNKNOWN),
    "expired": Script(on_append=expiring),
    "server error": Script(on_append=at(60, error("server_error", "server_error"))),
    "rate limit": Script(on_append=at(60, error("rate_limit_exceeded"))),
    "unknown error": Script(on_append=at(60, error("a_new_error"))),
    "error without a code": Script(on_append=at(60, error(None))),
    "close code 1000": Script(on_append=at(60, 1000)),
    "close without a code": Script(on_append=at(60, 1005)),
    "close code 1011": Script(on_append=at(60, 1011)),
    "close code 4000": Script(on_append=at(60, 4000)),
    "lost at the first append": Script(on_append=at(1, 0)),
    "lost at the last append": Script(on_append=lambda _, number: 0 if number == 373 else None),
    "lost at a commit": Script(lost=frozenset({2})),
    "lost at the last commits": Script(lost=frozenset(range(6, 10))),
    "idle": Script(idle_s=2.0),
    "lost eight times": Script(on_append=at(40, 0, sessions=8)),
}


@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
@in_virtual_time
async def test_each_word_arrives_once(script: Script) -> None:
    async with serving(script) as server:
        played = await play(server.url, OPENAI)
    played.assert_whole()
    assert played.took_s <= 5
    assert server.peers[0].seen.most_open <= 8


@pytest.mark.parametrize(
    ("expires_at", "sessions"),
    [
        (int(WALL_S) + 100, 3),
        (WALL_S + 60.5, 5),
        (WALL_S + 59, 1),  # clocks differ
        (WALL_S - 3600, 1),
        (WALL_S + 86_400, 1),  # longer than any session lasts
        (10**400, 1),
        ("2026-10-20", 1),
        (None, 1),
    ],
)
@in_virtual_time
async def test_sessions_are_replaced_before_the_end_that_the_server_announces(
    expires_at: object, sessions: int
) -> None:
    async with serving(Script(expires_at=expires_at)) as server:
        async with call(server.url, OPENAI, idle_timeout_s=120) as caller:
            await caller.talk(TALK)
            await caller.hold(95)
            await caller.say(3)
            await caller.hold(70)
            await caller.say(2)
        assert len(server.peers) == sessions
    assert caller.failures == []
    caller.assert_whole()


SGLANG_SCRIPTS = {
    "text before the commit": Script(rate_hz=16_000, has_g711=False),
    "full": Script(rate_hz=16_000, has_g711=False, full=frozenset({1, 2})),
    "buffer overflow": Script(
        rate_hz=16_000,
        on_append=lambda session, number: (
            {50: error("buffer_overflow", "server_error"), 51: 1009}.get(number)
            if session == 1
            else None
        ),
    ),
    "decoding fails": Script(rate_hz=16_000, has_g711=False, on_append=at(50, 1011)),
}


@pytest.mark.parametrize("script", SGLANG_SCRIPTS.values(), ids=SGLANG_SCRIPTS)
@in_virtual_time
async def test_each_word_arrives_once_with_sglang(script: Script) -> None:
    async with serving(script) as server:
        played = await play(server.url, SGLANG)
    played.assert_whole()


@pytest.mark.parametrize(
    "script",
    [
        Script(is_beta=True, deltas="none"),
        Script(is_beta=True, deltas="none", delay_s=OUT_OF_ORDER),
        Script(is_beta=True, deltas="none", on_append=at(60, error(None, "server_error"))),
    ],
    ids=["in order", "any order", "error"],
)
@in_virtual_time
async def test_each_word_arrives_once_with_speaches(script: Script) -> None:
    async with serving(script) as server:
        played = await play(server.url, make_dialect(DialectName.SPEACHES))
    played.assert_whole()


MISSED = {
    "failed": Script(failed=frozenset({2})),
    "failed, any order": Script(failed=frozenset({2}), delay_s=OUT_OF_ORDER),
    "refused": Script(refused=frozenset({2})),
    "refused, errors without an event": Script(refused=frozenset({2}), names_commit=False),
}


@pytest.mark.parametrize("script", MISSED.values(), ids=MISSED)
@in_virtual_time
async def test_an_item_without_text_is_a_gap(script: Script) -> None:
    async with serving(script) as server:
        played = await play(server.url, OPENAI)
    assert played.ended.reason == "carrier-stopped"
    missed = played.spoken[2]  # the only word of the second turn
    played.assert_words([word for word in played.spoken if word is not missed])
    [gap] = played.gaps
    assert gap.cause is GapCause.MODEL_MUTE
    assert gap.from_ms <= missed.start_ms
    assert missed.end_ms - 100 <= gap.to_ms <= missed.end_ms + 2000
    assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error("insufficient_quota"), "throttled"),
        (error("session_expired"), "service-unavailable"),
        (error("server_error", "server_error"), "realtime-error"),
        (0, "connection-lost"),
        (1001, "service-unavailable"),
        (1005, "ended-without-done"),
    ],
)
@in_virtual_time
async def test_a_server_that_never_works_is_named(reply: Reply, reason: str) -> None:
    async with serving(Script(on_append=at(1, reply, sessions=10_000))) as server:
        played = await play(server.url, OPENAI, retry_budget_s=10)
    assert (played.ended.status, played.ended.reason) == ("failed", reason)
    assert played.texts == []
    assert played.ended.gap_ms == played.ended.duration_ms


@in_virtual_time
async def test_a_server_that_completes_nothing_is_named() -> None:
    async with serving(Script(delay_s=lambda _: 10_000.0)) as server:
        played = await play(server.url, OPENAI, retry_budget_s=10)
    assert {reason for reason, _ in played.failures} == {"session-stalled"}
    assert played.failures[0][1] <= 15
    assert server.peers[0].seen.most_open <= 16
