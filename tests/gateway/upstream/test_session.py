"""A session's life against a scripted peer: every state, every event, every end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.session import RealtimeSession, SessionState
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

PCM = bytes(2560)
RESET = UpstreamError("stream-reset")


class Listener:
    """Keeps what it hears, in order."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_delta(self, text: str) -> None:
        self.heard.append(text)

    def on_writable(self) -> None:
        self.heard.append("WRITABLE")

    def on_ended(self, error: UpstreamError | None) -> None:
        self.heard.append(("ENDED", error.reason if error else None))


class StreamHarness:
    """A session, its listener and its scripted peer."""

    def __init__(self, transport: ScriptedTransport | None = None, timeout_s: float = 5) -> None:
        self.listener = Listener()
        self.transport = transport or ScriptedTransport()
        self.session = RealtimeSession(self.listener, model="m", done_timeout_s=timeout_s)

    @property
    def peer(self) -> ScriptedStream:
        [stream] = self.transport.streams
        return stream

    async def opened(self) -> "StreamHarness":
        await self.session.open(self.transport, timeout_s=5)
        return self

    async def finishing(self) -> "StreamHarness":
        await self.opened()
        self.task = asyncio.create_task(self.session.finish())
        await settle()
        return self

    async def closed(self) -> "StreamHarness":
        await self.opened()
        self.session.abort()
        return self


async def test_a_whole_life() -> None:
    scene = await StreamHarness().opened()
    assert scene.session.append(PCM)
    scene.peer.delta(" hello")
    scene.peer.delta("")
    task = asyncio.create_task(scene.session.finish())
    await settle()
    scene.peer.delta(" world")
    assert not task.done()
    scene.peer.done()
    await task
    assert scene.peer.types == ["session.update", "commit", "append", "commit"]
    assert [m.get("final") for m in scene.peer.sent] == [None, False, None, True]
    assert scene.peer.sent[0]["model"] == "m"
    assert scene.listener.heard == [" hello", "", " world", ("ENDED", None)]
    assert scene.peer.finished
    assert not scene.peer.aborted


class TestOpening:
    async def test_nothing_is_sent_before_session_created(self) -> None:
        scene = StreamHarness(ScriptedTransport(greet=lambda _: None))
        task = asyncio.create_task(scene.session.open(scene.transport, 5))
        await settle()
        assert scene.peer.sent == []
        assert not scene.session.append(PCM)
        scene.peer.created()
        await task
        assert scene.session.state is SessionState.LIVE

    async def test_a_refusal_is_raised_and_heard(self) -> None:
        scene = StreamHarness()
        scene.transport.refusal = UpstreamError("throttled")
        with pytest.raises(UpstreamError, match="throttled"):
            await scene.opened()
        assert scene.listener.heard == [("ENDED", "throttled")]

    async def test_a_transport_that_never_opens_times_out(self) -> None:
        scene = StreamHarness()
        scene.transport.gate.clear()
        with pytest.raises(UpstreamError, match="response-timeout"):
            await scene.session.open(scene.transport, timeout_s=0.01)

    async def test_a_mute_server_times_out_and_is_aborted(self) -> None:
        scene = StreamHarness(ScriptedTransport(greet=lambda _: None))
        with pytest.raises(UpstreamError, match="created-timeout"):
            await scene.session.open(scene.transport, timeout_s=0.01)
        assert scene.peer.aborted

    async def test_an_end_before_session_created(self) -> None:
        scene = StreamHarness(ScriptedTransport(greet=lambda stream: stream.close(RESET)))
        with pytest.raises(UpstreamError, match="stream-reset"):
            await scene.opened()

    async def test_cancelled_it_aborts_the_stream(self) -> None:
        scene = StreamHarness(ScriptedTransport(greet=lambda _: None))
        task = asyncio.create_task(scene.session.open(scene.transport, 5))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scene.peer.aborted
        assert scene.session.state is SessionState.CLOSED


class TestLive:
    async def test_a_full_window_holds_audio_back_and_tells_when_there_is_room(self) -> None:
        scene = await StreamHarness().opened()
        scene.peer.room = 1
        assert scene.session.append(PCM)
        assert not scene.session.append(PCM)
        scene.peer.make_room(1)
        assert scene.listener.heard == ["WRITABLE"]
        assert scene.session.append(PCM)

    async def test_an_unasked_done_is_the_end_of_the_context(self) -> None:
        scene = await StreamHarness().opened()
        scene.peer.delta("x")
        scene.peer.done()
        assert scene.listener.heard == ["x", ("ENDED", "context-full")]
        assert scene.peer.aborted

    async def test_more_deltas_than_any_audio_could_make(self) -> None:
        """Symptom: an engine that never stops talking, and a segment that grows without end."""
        scene = await StreamHarness().opened()
        scene.session.append(PCM)
        for _ in range(300):
            scene.peer.delta("x")
        assert scene.listener.heard == ["x"] * 251 + [("ENDED", "realtime-protocol-error")]

    async def test_unknown_messages_are_ignored(self) -> None:
        scene = await StreamHarness().opened()
        scene.peer.say("something.new")
        assert scene.listener.heard == []


class TestFinishing:
    async def test_the_final_commit_waits_for_room(self) -> None:
        scene = await StreamHarness().opened()
        scene.peer.room = 0
        task = asyncio.create_task(scene.session.finish())
        await settle()
        assert scene.peer.types == ["session.update", "commit"]
        scene.peer.make_room(1)
        await settle()
        assert scene.peer.sent[-1]["final"] is True
        scene.peer.done()
        await task

    async def test_exactly_one_final_and_no_append_after_it(self) -> None:
        scene = await StreamHarness().finishing()
        assert not scene.session.append(PCM)
        again = asyncio.create_task(scene.session.finish())
        await settle()
        assert [m.get("final") for m in scene.peer.sent].count(True) == 1
        scene.peer.done()
        await asyncio.gather(scene.task, again)

    async def test_done_that_never_comes_times_out(self) -> None:
        scene = await StreamHarness(timeout_s=0.01).opened()
        with pytest.raises(UpstreamError, match="done-timeout"):
            await scene.session.finish()
        assert scene.peer.aborted
        assert scene.listener.heard == [("ENDED", "done-timeout")]

    async def test_a_clean_end_of_stream_without_done_is_a_failure(self) -> None:
        scene = await StreamHarness().finishing()
        scene.peer.close()
        with pytest.raises(UpstreamError, match="ended-without-done"):
            await scene.task


STATES: dict[SessionState, Callable[[StreamHarness], Awaitable[StreamHarness]]] = {
    SessionState.LIVE: StreamHarness.opened,
    SessionState.FINISHING: StreamHarness.finishing,
    SessionState.CLOSED: StreamHarness.closed,
}
PEER_EVENTS: dict[str, Callable[[ScriptedStream], None]] = {
    "created": ScriptedStream.created,
    "delta": lambda peer: peer.delta("x"),
    "done": ScriptedStream.done,
    "error": lambda peer: peer.say("error", error="x", code="processing_error"),
    "garbage": lambda peer: peer.receiver.on_message(b"{"),
    "end": ScriptedStream.close,
    "reset": lambda peer: peer.close(RESET),
    "writable": lambda peer: peer.make_room(1),
}
LIVE, FINISHING, CLOSED = SessionState.LIVE, SessionState.FINISHING, SessionState.CLOSED
GONE: list[object] = [("ENDED", None)]
TABLE: list[tuple[SessionState, str, SessionState, list[object]]] = [
    (LIVE, "created", LIVE, []),
    (LIVE, "delta", LIVE, ["x"]),
    (LIVE, "done", CLOSED, [("ENDED", "context-full")]),
    (LIVE, "error", CLOSED, [("ENDED", "realtime-error")]),
    (LIVE, "garbage", CLOSED, [("ENDED", "realtime-protocol-error")]),
    (LIVE, "end", CLOSED, [("ENDED", "ended-without-done")]),
    (LIVE, "reset", CLOSED, [("ENDED", "stream-reset")]),
    (LIVE, "writable", LIVE, ["WRITABLE"]),
    (FINISHING, "created", FINISHING, []),
    (FINISHING, "delta", FINISHING, ["x"]),
    (FINISHING, "done", CLOSED, [("ENDED", None)]),
    (FINISHING, "error", CLOSED, [("ENDED", "realtime-error")]),
    (FINISHING, "garbage", CLOSED, [("ENDED", "realtime-protocol-error")]),
    (FINISHING, "end", CLOSED, [("ENDED", "ended-without-done")]),
    (FINISHING, "reset", CLOSED, [("ENDED", "stream-reset")]),
    (FINISHING, "writable", FINISHING, []),
    *((CLOSED, event, CLOSED, GONE) for event in PEER_EVENTS),
]


@pytest.mark.parametrize(
    ("state", "event", "next_state", "heard"), TABLE, ids=[f"{r[0].name}-{r[1]}" for r in TABLE]
)
async def test_every_state_and_event(
    state: SessionState, event: str, next_state: SessionState, heard: list[object]
) -> None:
    scene = StreamHarness()
    await STATES[state](scene)
    assert scene.session.state is state
    PEER_EVENTS[event](scene.peer)
    assert scene.session.state is next_state
    assert scene.listener.heard == heard
    if state is FINISHING and next_state is FINISHING:
        scene.peer.done()
    if state is FINISHING:
        await asyncio.gather(scene.task, return_exceptions=True)


def test_the_table_is_complete() -> None:
    assert {(row[0], row[1]) for row in TABLE} == {(s, e) for s in STATES for e in PEER_EVENTS}
