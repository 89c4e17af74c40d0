"""The live streams of a process: admission, search, draining and shutdown."""

import asyncio
from contextlib import ExitStack

import pytest

from gateway.admission.overload import Load
from gateway.calls.registry import LiveStreams
from gateway.calls.snapshot import StreamSnapshot
from gateway.calls.termination import CLOSED, DRAINED, Termination
from gateway.errors import CarrierError
from tests.gateway.scripted import settle
from tests.waiting import eventually

LONG_S = 60.0


class Stream:
    """A live stream, as the registry sees it."""

    def __init__(
        self, call_id: str | None, stream_id: str = "MZ1", carrier: str = "twilio"
    ) -> None:
        self.call_id = call_id
        self.carrier = carrier
        self.stream_id = stream_id
        self.terminations: list[Termination] = []
        self.failed_after_s: float | None = None

    def fail_unreachable(self, after_s: float) -> None:
        self.failed_after_s = after_s

    def end(self, termination: Termination) -> None:
        self.terminations.append(termination)

    def snapshot(self) -> StreamSnapshot | None:
        if self.call_id is None:
            return None
        return StreamSnapshot(
            call_id=self.call_id,
            stream_id=self.stream_id,
            carrier=self.carrier,
            tenant="default",
            state="live",
            epoch=1000,
            age_s=1.0,
            idle_s=0.0,
            tracks=(),
        )


def reason_refused(streams: LiveStreams) -> str:
    with pytest.raises(CarrierError) as caught, streams.admit():
        pass
    return caught.value.reason


async def test_streams_beyond_the_limit_are_refused() -> None:
    streams = LiveStreams(2)
    with streams.admit():
        with streams.admit():
            assert reason_refused(streams) == "at-capacity"
        with streams.admit():
            assert streams.admitted == 2
    assert streams.admitted == 0


async def test_failed_stream_no_longer_counts_against_the_limit() -> None:
    streams = LiveStreams(1)
    with pytest.raises(RuntimeError), streams.admit():
        raise RuntimeError
    with streams.admit():
        pass


async def test_streams_are_refused_while_the_draining_event_is_set() -> None:
    stop = asyncio.Event()
    streams = LiveStreams(1, stop)
    streams.check_accepting()
    stop.set()
    assert streams.draining
    assert reason_refused(streams) == "draining"
    with pytest.raises(CarrierError, match="draining"):
        streams.check_accepting()


async def test_start_draining_sets_the_event() -> None:
    stop = asyncio.Event()
    LiveStreams(1, stop).start_draining()
    assert stop.is_set()


class TestSearch:
    async def test_snapshots_are_of_announced_streams_oldest_first(self) -> None:
        streams = LiveStreams(9)
        with ExitStack() as stack:
            for each in (Stream("b", "1"), Stream(None), Stream("a", "2"), Stream("b", "3")):
                stack.enter_context(streams.hold(each))
            assert [each.stream_id for each in streams.snapshots()] == ["1", "2", "3"]
            assert [each.stream_id for each in streams.snapshots("b")] == ["1", "3"]
            assert streams.snapshots("c") == []
        assert streams.snapshots() == []

    async def test_end_call_ends_all_streams_of_the_call_and_no_other(self) -> None:
        streams = LiveStreams(9)
        one, two, other, unknown = Stream("a", "1"), Stream("a", "2"), Stream("b"), Stream(None)
        with ExitStack() as stack:
            for each in (one, two, other, unknown):
                stack.enter_context(streams.hold(each))
            assert [each.stream_id for each in streams.end_call("a", CLOSED)] == ["1", "2"]
            assert streams.end_call("c", CLOSED) == []
        assert [each.terminations for each in (one, two, other, unknown)] == [
            [CLOSED],
            [CLOSED],
            [],
            [],
        ]

    async def test_end_call_of_one_carrier_keeps_the_streams_of_others(self) -> None:
        streams = LiveStreams(9)
        mine, other = Stream("a", "1", "twilio"), Stream("a", "1", "plivo")
        with ExitStack() as stack:
            for each in (mine, other):
                stack.enter_context(streams.hold(each))
            assert len(streams.end_call("a", CLOSED, carrier="twilio", stream_id="1")) == 1
            assert (mine.terminations, other.terminations) == ([CLOSED], [])
            assert len(streams.end_call("a", CLOSED)) == 2


class TestDrain:
    async def test_drain_without_streams_returns_at_once(self) -> None:
        await asyncio.wait_for(LiveStreams(1).drain(LONG_S, asyncio.Event()), LONG_S)

    async def test_drain_waits_for_the_last_stream_and_ends_none(self) -> None:
        streams, stream = LiveStreams(2), Stream("a")
        with streams.admit():
            with streams.admit(), streams.hold(stream):
                drain = asyncio.create_task(streams.drain(LONG_S, asyncio.Event()))
                await settle()
                assert reason_refused(streams) == "draining"
            await settle()
            assert not drain.done()
        await asyncio.wait_for(drain, LONG_S)
        assert stream.terminations == []

    async def test_hurry_ends_the_drain(self) -> None:
        streams, hurry = LiveStreams(1), asyncio.Event()
        with streams.admit():
            drain = asyncio.create_task(streams.drain(LONG_S, hurry))
            await settle()
            hurry.set()
            await asyncio.wait_for(drain, LONG_S)

    async def test_timeout_ends_the_drain(self) -> None:
        streams = LiveStreams(1)
        with streams.admit():
            await asyncio.wait_for(streams.drain(0.01, asyncio.Event()), LONG_S)


class TestEndAll:
    async def test_streams_are_ended_and_waited_for(self) -> None:
        streams, stream = LiveStreams(1), Stream("a")
        with streams.admit(), streams.hold(stream):
            end = asyncio.create_task(streams.end_all(LONG_S))
            await settle()
            assert stream.terminations == [DRAINED]
            assert not end.done()
        await asyncio.wait_for(end, LONG_S)

    async def test_stream_registered_during_the_shutdown_is_ended(self) -> None:
        """Symptom to prevent: the shutdown waits for a stream that was never asked to end."""
        streams, stream = LiveStreams(1), Stream(None)
        with streams.admit():
            end = asyncio.create_task(streams.end_all(LONG_S))
            await settle()
            with streams.hold(stream):
                assert stream.terminations == [DRAINED]
        await asyncio.wait_for(end, LONG_S)

    async def test_wait_for_a_stream_that_never_ends_times_out(self) -> None:
        streams = LiveStreams(1)
        with streams.admit():
            await asyncio.wait_for(streams.end_all(0.01), LONG_S)


async def test_end_at_once_waits_for_final_events_but_not_for_sockets() -> None:
    """Symptom: a second Ctrl-C did nothing, and the first waited a minute for the model."""
    streams, stream, at_once = LiveStreams(1), Stream("a"), asyncio.Event()
    with streams.admit():  # its socket is still open
        with streams.hold(stream):
            end = asyncio.create_task(streams.end_all(LONG_S, at_once))
            await eventually(lambda: stream.failed_after_s is not None)
            assert stream.failed_after_s
            at_once.set()
            await eventually(lambda: stream.failed_after_s == 0)
            assert not end.done()
        await asyncio.wait_for(end, LONG_S)


async def test_overloaded_process_refuses_streams() -> None:
    load = Load(0.5, 1.0)
    streams = LiveStreams(100, load=load)
    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(streams.admit())
        load.is_overloaded = True
        # Estimated with 11 calls: 0.47. An overload begins at 0.5 and ends below 0.4.
        load.cpu = 0.25
        assert reason_refused(streams) == "overloaded"
        assert streams.overloaded
        load.cpu = 0.1
        with streams.admit():
            assert not streams.overloaded
