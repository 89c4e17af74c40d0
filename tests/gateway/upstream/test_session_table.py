"""A table of the outcomes of every event in every state of a session."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.session import RealtimeSession, SessionState
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle
from tests.gateway.upstream.test_session import PCM, Listener

OPENING, LIVE, FINISHING, CLOSED = SessionState
STATES = (OPENING, LIVE, FINISHING, CLOSED)

PROTOCOL = (CLOSED, "realtime-protocol-error")
FAILED = (CLOSED, "realtime-error")
RESET = (CLOSED, "stream-reset")
UNFINISHED = (CLOSED, "ended-without-done")
ABORTED = (CLOSED, None)
STAYS = "stays"  # the state does not change, and `on_ended` is not called

type Outcome = tuple[SessionState, str | None] | str

# The outcomes in OPENING, LIVE, FINISHING and CLOSED
TABLE: dict[str, tuple[Outcome, Outcome, Outcome, Outcome]] = {
    "session.created": (LIVE.name, STAYS, STAYS, STAYS),
    "delta": (PROTOCOL, STAYS, STAYS, STAYS),
    "deltas": (PROTOCOL, STAYS, STAYS, STAYS),
    "done": (PROTOCOL, (CLOSED, "context-full"), ABORTED, STAYS),
    "error": (FAILED, FAILED, FAILED, STAYS),
    "unknown message": (STAYS, STAYS, STAYS, STAYS),
    "malformed message": (PROTOCOL, PROTOCOL, PROTOCOL, STAYS),
    "peer closes": (UNFINISHED, UNFINISHED, UNFINISHED, STAYS),
    "peer resets": (RESET, RESET, RESET, STAYS),
    "window opens": (STAYS, STAYS, STAYS, STAYS),
    "append": (STAYS, STAYS, STAYS, STAYS),
    "finish": (STAYS, FINISHING.name, STAYS, STAYS),
    "abort": (ABORTED, ABORTED, ABORTED, STAYS),
    "fail": (RESET, RESET, RESET, STAYS),
}

PEER: dict[str, Callable[[ScriptedStream], None]] = {
    "session.created": ScriptedStream.created,
    "delta": lambda peer: peer.delta(" word"),
    "deltas": lambda peer: peer.say("transcription.deltas", deltas=[2, " word"]),
    "done": ScriptedStream.done,
    "error": lambda peer: peer.say("error", error="x", code="processing_error"),
    "unknown message": lambda peer: peer.say("rate_limits.updated"),
    "malformed message": lambda peer: peer.receiver.on_message(b"{"),
    "peer closes": ScriptedStream.close,
    "peer resets": lambda peer: peer.close(UpstreamError("stream-reset")),
    "window opens": lambda peer: peer.receiver.on_writable(),
}


async def trigger(event: str, session: RealtimeSession, peer: ScriptedStream) -> object:
    if event in PEER:
        return PEER[event](peer)
    match event:
        case "append":
            return session.append(PCM)
        case "abort":
            session.abort()
        case "fail":
            session.fail(UpstreamError("stream-reset"))
        case _:
            finishing = asyncio.create_task(session.finish())
            await settle()
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)
    return None


@pytest.mark.parametrize("at", STATES, ids=lambda state: state.name)
@pytest.mark.parametrize("event", TABLE)
async def test_every_event_in_every_state(event: str, at: SessionState) -> None:
    listener, transport = Listener(), ScriptedTransport(lambda _: None)
    session = RealtimeSession(listener, Voxtral().session(Options("m")), done_timeout_s=5)
    tasks = [asyncio.create_task(session.open(transport, timeout_s=5))]
    await settle()
    [peer] = transport.streams
    if at is not OPENING:
        peer.created()
        await settle()
        assert session.append(PCM)
    if at is FINISHING:
        tasks.append(asyncio.create_task(session.finish()))
        await settle()
    if at is CLOSED:
        session.abort()
    assert session.state is at
    before = len(listener.calls)
    result = await trigger(event, session, peer)
    await settle()
    outcome = TABLE[event][STATES.index(at)]
    ends = [call[1] for call in listener.calls[before:] if isinstance(call, tuple)]
    if isinstance(outcome, tuple):
        assert (session.state, *ends) == outcome
    else:
        assert session.state.name == (at.name if outcome == STAYS else outcome)
        assert ends == []
    if event == "append":
        assert result is (at is LIVE)
    if event == "abort" and at is not CLOSED:
        assert peer.aborted  # even while FINISHING: no queued message is sent
    if event == "delta":
        assert (" word" in listener.calls) is (at in (LIVE, FINISHING))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_table_has_every_state_and_event() -> None:
    assert all(len(row) == len(SessionState) for row in TABLE.values())
    assert {*PEER} < {*TABLE}
