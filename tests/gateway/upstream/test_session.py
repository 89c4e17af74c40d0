"""A session against a scripted peer: every state, every event, every end."""

import asyncio

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.session import RealtimeSession, SessionState
from tests.gateway.scripted import ScriptedStream, ScriptedTransport, settle

PCM = bytes(2560)
RESET = UpstreamError("stream-reset")


class Listener:
    """Records its calls in order."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def on_answer(self, answer: Answer) -> None:
        self.calls.append(answer.text)

    def on_writable(self) -> None:
        self.calls.append("WRITABLE")

    def on_ended(self, error: UpstreamError | None) -> None:
        self.calls.append(("ENDED", error.reason if error else None))


class StreamHarness:
    """A session with its listener and a scripted peer."""

    def __init__(self, transport: ScriptedTransport | None = None, timeout_s: float = 5) -> None:
        self.listener = Listener()
        self.transport = transport or ScriptedTransport()
        self.session = RealtimeSession(
            self.listener, Voxtral().session(Options("m")), done_timeout_s=timeout_s
        )

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


async def test_session_from_open_to_done() -> None:
    harness = await StreamHarness().opened()
    assert harness.session.append(PCM)
    harness.peer.delta(" hello")
    harness.peer.delta("")
    task = asyncio.create_task(harness.session.finish())
    await settle()
    harness.peer.delta(" world")
    assert not task.done()
    harness.peer.done()
    await task
    assert harness.peer.types == ["session.update", "commit", "append", "commit"]
    assert [m.get("final") for m in harness.peer.sent] == [None, False, None, True]
    assert harness.peer.sent[0]["model"] == "m"
    assert harness.listener.calls == [" hello", "", " world", ("ENDED", None)]
    assert harness.peer.finished
    assert not harness.peer.aborted


class TestOpening:
    async def test_nothing_is_sent_before_session_created(self) -> None:
        harness = StreamHarness(ScriptedTransport(greet=lambda _: None))
        task = asyncio.create_task(harness.session.open(harness.transport, 5))
        await settle()
        assert harness.peer.sent == []
        assert not harness.session.append(PCM)
        harness.peer.created()
        await task
        assert harness.session.state is SessionState.LIVE

    async def test_refusal_is_raised_and_reported_to_the_listener(self) -> None:
        harness = StreamHarness()
        harness.transport.refusal = UpstreamError("throttled")
        with pytest.raises(UpstreamError, match="throttled"):
            await harness.opened()
        assert harness.listener.calls == [("ENDED", "throttled")]

    async def test_transport_that_does_not_open_times_out(self) -> None:
        harness = StreamHarness()
        harness.transport.gate.clear()
        with pytest.raises(UpstreamError, match="response-timeout"):
            await harness.session.open(harness.transport, timeout_s=0.01)

    async def test_silent_server_times_out_and_is_aborted(self) -> None:
        harness = StreamHarness(ScriptedTransport(greet=lambda _: None))
        with pytest.raises(UpstreamError, match="created-timeout"):
            await harness.session.open(harness.transport, timeout_s=0.01)
        assert harness.peer.aborted

    async def test_end_before_session_created_is_raised(self) -> None:
        harness = StreamHarness(ScriptedTransport(greet=lambda stream: stream.close(RESET)))
        with pytest.raises(UpstreamError, match="stream-reset"):
            await harness.opened()

    async def test_cancelled_open_aborts_the_stream(self) -> None:
        harness = StreamHarness(ScriptedTransport(greet=lambda _: None))
        task = asyncio.create_task(harness.session.open(harness.transport, 5))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert harness.peer.aborted
        assert harness.session.state is SessionState.CLOSED


class TestLive:
    async def test_full_window_rejects_audio_until_on_writable(self) -> None:
        harness = await StreamHarness().opened()
        harness.peer.room = 1
        assert harness.session.append(PCM)
        assert harness.session.append(PCM)  # waits in the session
        assert not harness.session.append(PCM)
        harness.peer.make_room(1)
        assert harness.listener.calls == ["WRITABLE"]
        assert harness.peer.types == ["session.update", "commit", "append", "append"]
        assert harness.session.append(PCM)

    async def test_done_before_finish_means_context_full(self) -> None:
        harness = await StreamHarness().opened()
        harness.session.append(PCM)
        harness.peer.delta("x")
        harness.peer.done()
        assert harness.listener.calls == ["x", ("ENDED", "context-full")]
        assert harness.peer.aborted

    async def test_done_before_the_final_commit_was_sent_means_context_full(self) -> None:
        harness = await StreamHarness().opened()
        harness.peer.room = 1
        harness.session.append(PCM)
        finishing = asyncio.create_task(harness.session.finish())
        await settle()  # the final commit waits for the stream
        harness.peer.done()
        with pytest.raises(UpstreamError, match="context-full"):
            await finishing

    async def test_more_deltas_than_audio_is_a_protocol_error(self) -> None:
        """Symptom: an engine never stopped sending deltas, and a segment grew without limit."""
        harness = await StreamHarness().opened()
        harness.session.append(PCM)
        for _ in range(300):
            harness.peer.delta("x")
        assert harness.listener.calls == ["x"] * 251 + [("ENDED", "realtime-protocol-error")]

    async def test_combined_deltas_are_passed_on_one_by_one(self) -> None:
        harness = await StreamHarness().opened()
        harness.session.append(PCM)
        harness.peer.say("transcription.deltas", deltas=[2, "a", 1, "b"])
        assert harness.listener.calls == ["", "", "a", "", "b"]

    async def test_more_combined_deltas_than_audio_is_a_protocol_error(self) -> None:
        harness = await StreamHarness().opened()
        harness.session.append(PCM)
        harness.peer.say("transcription.deltas", deltas=[100_000, "x"])
        assert harness.listener.calls == [""] * 251 + [("ENDED", "realtime-protocol-error")]

    async def test_unknown_messages_are_ignored(self) -> None:
        harness = await StreamHarness().opened()
        harness.peer.say("something.new")
        assert harness.listener.calls == []


class TestFinishing:
    async def test_final_commit_waits_until_writable(self) -> None:
        harness = await StreamHarness().opened()
        harness.peer.room = 0
        task = asyncio.create_task(harness.session.finish())
        await settle()
        assert harness.peer.types == ["session.update", "commit"]
        harness.peer.make_room(1)
        await settle()
        assert harness.peer.sent[-1]["final"] is True
        harness.peer.done()
        await task

    async def test_only_one_final_commit_and_no_append_after_it(self) -> None:
        harness = await StreamHarness().finishing()
        assert not harness.session.append(PCM)
        again = asyncio.create_task(harness.session.finish())
        await settle()
        assert [m.get("final") for m in harness.peer.sent].count(True) == 1
        harness.peer.done()
        await asyncio.gather(harness.task, again)

    async def test_missing_done_times_out(self) -> None:
        harness = await StreamHarness(timeout_s=0.01).opened()
        with pytest.raises(UpstreamError, match="done-timeout"):
            await harness.session.finish()
        assert harness.peer.aborted
        assert harness.listener.calls == [("ENDED", "done-timeout")]

    async def test_clean_end_of_stream_without_done_is_an_error(self) -> None:
        harness = await StreamHarness().finishing()
        harness.peer.close()
        with pytest.raises(UpstreamError, match="ended-without-done"):
            await harness.task
