"""Messages as bytes, and the order of the events of all partitions."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.client.stories import fields
from workers.client.events import Entry, EventError
from workers.relay.messages import Item, Merge, Message, Order, item, named


def entry(entry_id: str, text: str = "hi") -> Entry:
    position: dict[str, Any] = {
        "track": "inbound",
        "segment": 1,
        "rev": 0,
        "start_ms": 0,
        "end_ms": 80,
    }
    return Entry(entry_id, fields("transcript.delta", 1, text=text, **position))


@pytest.mark.parametrize(
    ("message", "sse", "text"),
    [
        (Message(b"[1]", "5-0"), b"id: 5-0\ndata: [1]\n\n", {"id": "5-0", "data": [1]}),
        (named("gone", {}), b"event: gone\ndata: {}\n\n", {"event": "gone", "data": {}}),
        (Message(b"{}"), b"data: {}\n\n", {"data": {}}),
    ],
)  # fmt: skip
def test_message_is_encoded_for_both_transports(
    message: Message, sse: bytes, text: dict[str, object]
) -> None:
    assert message.sse == sse
    assert json.loads(message.text) == text


@given(st.text())
def test_any_text_stays_on_one_line(text: str) -> None:
    """Symptom to prevent: a caller's line break ends a message, or begins a forged one."""
    sse = item(entry("5-0", text), 0).of_call.sse
    assert sse.count(b"\n") == 3
    assert b"\r" not in sse
    assert json.loads(sse.split(b"data: ", 1)[1])["text"] == text


def test_event_has_its_id_in_each_feed() -> None:
    each = item(entry("5-7"), 63)
    assert (each.of_call.id, each.of_all.id) == ("5-7", "5-7-63")
    assert Order.parse(each.of_all.id) == each.order
    with pytest.raises(EventError):
        item(Entry("5-7", {"type": "x"}), 0)


orders = st.builds(Order, st.integers(0, 50), st.integers(0, 2), st.integers(0, 3))


@given(st.lists(orders, unique=True), st.lists(st.integers(0, 60), max_size=5))
def test_merge_releases_everything_in_order(written: list[Order], times: list[int]) -> None:
    """As of each time, events written before it have arrived; later ones may have."""
    merge, released = Merge(), list[Item]()
    arrived: set[Order] = set()
    for now_ms in [*sorted(times), 1000]:
        new = [each for each in written if each not in arrived and each.ms < now_ms + 5]
        arrived |= {*new}
        merge.add(item(entry(each.after), each.partition) for each in new)
        released += merge.release(now_ms)
    assert [each.order for each in released] == sorted(written)
    assert merge.is_empty


def test_merge_is_bounded_when_the_clock_of_a_server_is_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.relay.messages._MAX_HELD", 10)
    merge = Merge()
    merge.add(item(entry(f"{ms}-0"), 0) for ms in range(100, 111))
    assert len(merge.release(5)) == 11
