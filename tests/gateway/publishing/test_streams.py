"""What streams wait for, and in which order they are written."""

from gateway.publishing.backlog import Backlog
from gateway.publishing.stream_writer import StreamWriter
from gateway.publishing.streams import Streams
from gateway.transcript.keys import call_keys
from tests.gateway.publishing.publisher_harness import final, never_fenced


def stream(call_id: str, lease_renewed_at: float = 0.0) -> StreamWriter:
    return StreamWriter(
        call_id=call_id,
        stream_id="MZ1",
        keys=call_keys(call_id, 1),
        stream_header=call_id.encode(),
        backlog=Backlog(),
        on_fenced=never_fenced,
        take=lambda _writer, _event: None,
        opened_s=0.0,
        lease_renewed_at=lease_renewed_at,
    )


def opened(count: int) -> tuple[Streams, list[StreamWriter]]:
    streams, writers = Streams(), [stream(f"CA{n}", lease_renewed_at=n) for n in range(count)]
    for writer in writers:
        streams.open(writer)
    return streams, writers


def test_they_are_written_in_the_order_in_which_they_had_something_to_write() -> None:
    streams, (a, b, c) = opened(3)
    for writer in (c, a, c, b):
        assert streams.make_ready_unless_waiting(writer)
    assert streams.ready == [c, a, b]
    streams.unready(a)
    assert streams.ready == [c, b]


def test_one_without_an_answer_waits_for_the_backoff_and_stays_unanswered_until_it_has_one() -> (
    None
):
    streams, (a, b) = opened(2)
    streams.make_ready(a)
    streams.hold(a)
    assert (streams.ready, streams.has_held, streams.is_waiting(a)) == ([], True, True)
    assert not streams.make_ready_unless_waiting(a), "what is older must be written first"
    assert streams.make_ready_unless_waiting(b)
    streams.release_held()
    assert (streams.ready, streams.has_held, streams.is_waiting(a)) == ([b, a], False, False)
    assert streams.has_unanswered
    streams.note_answer(a)
    assert not streams.has_unanswered


def test_one_with_batches_in_the_spool_waits_for_them() -> None:
    streams, (a,) = opened(1)
    a.spooled = 1
    assert streams.is_waiting(a)
    assert not streams.make_ready_unless_waiting(a)


def test_only_silent_ones_that_are_not_held_renew_their_leases() -> None:
    streams, (a, b, c, _) = opened(4)  # signed at 0, 1, 2, 3 s
    streams.hold(b)
    streams.make_silent_ready(2.0)
    assert streams.ready == [a, c]


def test_after_a_bug_those_with_something_to_write_wait() -> None:
    streams, (a, b) = opened(2)
    b.backlog.add(final("x"), 0)
    streams.hold_unwritten()
    assert [streams.is_waiting(each) for each in (a, b)] == [False, True]


def test_nothing_is_left_of_a_stream_that_is_forgotten() -> None:
    streams, (a, b) = opened(2)
    streams.hold(a)
    streams.make_ready(a)
    streams.forget(a)
    assert list(streams) == [b]
    assert (streams.has_unwritten, streams.has_unanswered) == (False, False)
    streams.make_ready(b)
    streams.forget_all()
    assert (len(streams), streams.has_unwritten) == (0, False)
