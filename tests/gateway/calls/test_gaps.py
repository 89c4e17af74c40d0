"""The ledger of gaps: each millisecond once."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.calls.gaps import GapLedger
from gateway.transcript.events import GapCause, TranscriptGap

SPANS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)))


def test_only_what_is_new_is_declared() -> None:
    ledger = GapLedger("inbound")
    ledger.declare(80, 160, GapCause.CARRIER_LOSS)
    ledger.declare(400, 480, GapCause.BACKPRESSURE)
    assert ledger.declare(0, 500, GapCause.RECONNECT) == [
        TranscriptGap("inbound", start, end, GapCause.RECONNECT)
        for start, end in ((0, 80), (160, 400), (480, 500))
    ]
    assert ledger.declare(0, 500, GapCause.RECONNECT) == []
    assert ledger.total_ms == 500


def test_nothing_is_no_gap() -> None:
    assert GapLedger("inbound").declare(80, 80, GapCause.RECONNECT) == []


@given(SPANS)
def test_each_millisecond_once(spans: list[tuple[int, int]]) -> None:
    ledger = GapLedger("inbound")
    declared: list[int] = []
    wanted: set[int] = set()
    for start, end in spans:
        for gap in ledger.declare(start, end, GapCause.RECONNECT):
            declared += range(gap.from_ms, gap.to_ms)
        wanted.update(range(start, end))
    assert len(declared) == len(set(declared)) == ledger.total_ms
    assert set(declared) == wanted
