"""Which events get into memory, which are shed, which go to the spool."""

from pathlib import Path

from gateway.metrics import Metrics
from gateway.publishing.buffer import Buffer
from gateway.publishing.overflow import Overflow
from gateway.publishing.spool.spool import Spool
from gateway.publishing.stream_writer import Limits, StreamWriter
from gateway.publishing.streams import Streams
from gateway.transcript.encode import pack_stream
from gateway.transcript.events import VERSION
from tests.gateway.publishing.publisher_harness import delta, ended, final, total
from tests.gateway.publishing.test_streams import stream

_LIMITS = Limits(
    buffered_events=4, buffered_events_hard=6, spill_events=3, batch_events=2, full_s=1.0
)


class Memory:
    """A buffer and two streams."""

    def __init__(self, spool: Spool | None = None) -> None:
        self.now_s = 100.0
        self.spills = 0
        self.metrics = Metrics()
        self.streams = Streams()
        self.buffer = Buffer(
            _LIMITS,
            self.streams,
            Overflow(spool, 1),
            self.metrics,
            on_spilled=self._note_spill,
            clock=lambda: self.now_s,
            wall=lambda: 0.0,
        )
        self.a, self.b = self._open("CA1"), self._open("CA2")

    def _note_spill(self) -> None:
        self.spills += 1

    def _open(self, call_id: str) -> StreamWriter:
        writer = stream(call_id)
        writer.stream_header = pack_stream(VERSION, call_id, "MZ1", 1, "g1", 1000, 60, 100, 1000)
        self.streams.open(writer)
        return writer

    def dropped(self, kind: str) -> float:
        return total(self.metrics, "redis_dropped_events_total", kind=kind)


def test_without_a_spool_deltas_are_shed_then_all_but_the_end_is_dropped() -> None:
    memory = Memory()
    add, a, b = memory.buffer.add, memory.a, memory.b
    assert all(add(a, event) for event in (delta("1"), final("2"), delta("3"), final("4")))
    for writer, event, is_taken, events, deltas, finals in (
        (b, delta("5"), True, 4, 1, 0),  # "3" made room; "1" is in a batch, maybe on its way
        (b, final("6"), True, 5, 1, 0),
        (b, delta("7"), False, 5, 2, 0),  # nobody looks for room again for a second
        (b, final("8"), True, 6, 2, 0),
        (b, final("9"), False, 6, 2, 1),
        (b, ended(), True, 7, 2, 1),
    ):
        assert add(writer, event) is is_taken
        assert memory.buffer.events == events
        assert memory.dropped("transcript.delta") == deltas
        assert memory.dropped("transcript.final") == finals
    memory.now_s += 1.0
    assert add(a, final("10")) is False
    assert memory.buffer.events == 6, '"5" was shed'
    assert memory.dropped("transcript.delta") == 3
    assert memory.buffer.drop(b) == 3
    assert memory.buffer.events == 3


def test_with_a_spool_the_oldest_go_there_first_of_streams_that_wait(tmp_path: Path) -> None:
    memory = Memory(Spool(tmp_path, "here", 1 << 20, lambda _: None, 2000))
    memory.streams.hold(memory.b)
    for n in range(2):
        memory.buffer.add(memory.a, final(f"a{n}"))
        memory.buffer.add(memory.b, final(f"b{n}"))
    assert memory.buffer.add(memory.a, final("a2"))
    assert (memory.a.spooled, memory.b.spooled) == (1, 1)
    assert memory.buffer.events == 1
    assert memory.spills == 0, "one is held: all wait for the backoff"
    memory.streams.release_held()
    assert memory.buffer.spill() == 1
    assert (memory.buffer.events, memory.spills) == (0, 1)
