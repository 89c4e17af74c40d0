"""The live streams of a process: their limit, finding them, and the three ways a drain ends."""

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
    """A live stream as the registry knows it."""

    def __init__(
        self, call_id: str | None, stream_id: str = "MZ1", carrier: str = "twilio"
    ) -> None:
        self.call_id = call_id
        self.carrier = carrier
        self.stream_id = stream_id
        self.terminations: list[Termination] = []
        self.given_up_after_s: float | None = None

    def fail_unreachable(self, after_s: float) -> None:
        self.given_up_after_s = after_s

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


async def test_no_more_than_the_limit() -> None:
    streams = LiveStreams(2)
    with streams.admit():
        with streams.admit():
            assert reason_refused(streams) == "at-capacity"
        with streams.admit():
            assert streams.admitted == 2
    assert streams.admitted == 0


async def test_a_stream_that_fails_gives_its_place_back() -> None:
    streams = LiveStreams(1)
    with pytest.raises(RuntimeError), streams.admit():
        raise RuntimeError
    with streams.admit():
        pass


async def test_whoever_has_the_event_drains() -> None:
    stop = asyncio.Event()
    streams = LiveStreams(1, stop)
    streams.refuse_new()
    stop.set()
    assert streams.draining
    assert reason_refused(streams) == "draining"
    with pytest.raises(CarrierError, match="draining"):
        streams.refuse_new()


async def test_draining_that_the_registry_starts_is_seen_outside() -> None:
    stop = asyncio.Event()
    LiveStreams(1, stop).start_draining()
    assert stop.is_set()


class TestFinding:
    async def test_all_announced_streams_in_the_order_they_came(self) -> None:
        streams = LiveStreams(9)
        with ExitStack() as stack:
            for each in (Stream("b", "1"), Stream(None), Stream("a", "2"), Stream("b", "3")):
                stack.enter_context(streams.hold(each))
            assert [each.stream_id for each in streams.snapshots()] == ["1", "2", "3"]
            assert [each.stream_id for each in streams.snapshots("b")] == ["1", "3"]
            assert streams.snapshots("c") == []
        assert streams.snapshots() == []

    async def test_ending_a_call_ends_all_its_streams_and_no_other(self) -> None:
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

    async def test_one_carrier_ends_its_own_streams_of_an_id(self) -> None:
        streams = LiveStreams(9)
        mine, other = Stream("a", "1", "twilio"), Stream("a", "1", "plivo")
        with ExitStack() as stack:
            for each in (mine, other):
                stack.enter_context(streams.hold(each))
            assert len(streams.end_call("a", CLOSED, carrier="twilio", stream_id="1")) == 1
            assert (mine.terminations, other.terminations) == ([CLOSED], [])
            assert len(streams.end_call("a", CLOSED)) == 2


class TestDrain:
    async def test_without_streams_it_is_over_at_once(self) -> None:
        await asyncio.wait_for(LiveStreams(1).drain(LONG_S, asyncio.Event()), LONG_S)

    async def test_the_last_stream_ends_it_and_none_was_touched(self) -> None:
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

    async def test_a_hurry_ends_it(self) -> None:
        streams, hurry = LiveStreams(1), asyncio.Event()
        with streams.admit():
            drain = asyncio.create_task(streams.drain(LONG_S, hurry))
            await settle()
            hurry.set()
            await asyncio.wait_for(drain, LONG_S)

    async def test_the_deadline_ends_it(self) -> None:
        streams = LiveStreams(1)
        with streams.admit():
            await asyncio.wait_for(streams.drain(0.01, asyncio.Event()), LONG_S)


class TestEndAll:
    async def test_each_is_ended_and_waited_for(self) -> None:
        streams, stream = LiveStreams(1), Stream("a")
        with streams.admit(), streams.hold(stream):
            end = asyncio.create_task(streams.end_all(LONG_S))
            await settle()
            assert stream.terminations == [DRAINED]
            assert not end.done()
        await asyncio.wait_for(end, LONG_S)

    async def test_a_stream_that_was_being_upgraded_is_ended_too(self) -> None:
        """Symptom to prevent: a shutdown that waits for a call which nobody told to end."""
        streams, stream = LiveStreams(1), Stream(None)
        with streams.admit():
            end = asyncio.create_task(streams.end_all(LONG_S))
            await settle()
            with streams.hold(stream):
                assert stream.terminations == [DRAINED]
        await asyncio.wait_for(end, LONG_S)

    async def test_one_that_never_ends_is_not_waited_for_for_ever(self) -> None:
        streams = LiveStreams(1)
        with streams.admit():
            await asyncio.wait_for(streams.end_all(0.01), LONG_S)


async def test_ending_at_once_waits_for_records_not_for_sockets() -> None:
    """Symptom: a second Ctrl-C did nothing, and the first waited a minute for the model."""
    streams, stream, at_once = LiveStreams(1), Stream("a"), asyncio.Event()
    with streams.admit():  # its socket stays open
        with streams.hold(stream):
            end = asyncio.create_task(streams.end_all(LONG_S, at_once))
            await eventually(lambda: stream.given_up_after_s is not None)
            assert stream.given_up_after_s
            at_once.set()
            await eventually(lambda: stream.given_up_after_s == 0)
            assert not end.done()
        await asyncio.wait_for(end, LONG_S)


async def test_an_overloaded_process_takes_no_call() -> None:
    load = Load(0.5, 1.0)
    streams = LiveStreams(100, load=load)
    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(streams.admit())
        load.is_overloaded = True
        load.cpu = 0.25  # of the limit with these calls in between: it stays as it is
        assert reason_refused(streams) == "overloaded"
        assert streams.overloaded
        load.cpu = 0.1
        with streams.admit():
            assert not streams.overloaded
