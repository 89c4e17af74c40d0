"""Generate messages that no carrier sends, and check that adapters handle them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from gateway.carriers.adapter import Adapter
from gateway.carriers.events import AudioReceived, CallStarted, CarrierEvent
from gateway.errors import REASONS, CarrierError

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def damaged(message: bytes) -> st.SearchStrategy[bytes]:
    """Generate a message that is cut off anywhere, or has bytes inserted."""
    return st.builds(
        lambda cut, insert: message[:cut] + insert + message[cut:],
        st.integers(0, len(message)),
        st.binary(max_size=4),
    ) | st.integers(0, len(message)).map(lambda cut: message[:cut])


def dialogues(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[tuple[bool, bytes]]]:
    """Generate sequences of messages, as pairs of whether it is a text and its bytes."""
    anything = st.binary(max_size=64)
    message = st.tuples(st.just(True), texts | anything) | st.tuples(st.just(False), anything)
    return st.lists(message, max_size=8)


def endure(adapter: Adapter, dialogue: Sequence[tuple[bool, bytes]]) -> None:
    """Check that an adapter returns events in a valid order, or a documented error."""
    events: list[CarrierEvent] = []
    for is_text, message in dialogue:
        receive = adapter.receive_text if is_text else adapter.receive_binary
        try:
            events += receive(message)
        except CarrierError as error:
            assert error.reason in REASONS  # noqa: PT017  # one half of the property
            break
    starts = [event for event in events if isinstance(event, CallStarted)]
    events += [
        frame for start in starts for t in start.tracks for frame in adapter.flush_held(t.track)
    ]
    announced: set[str] = set()
    for event in events:
        match event:
            case CallStarted():
                assert not announced, "two starts"
                announced = {form.track for form in event.tracks}
            case AudioReceived():
                assert event.track in announced
            case _:
                pass
