"""The outcomes of a verification, and generators of its inputs."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from gateway.errors import CarrierError

DOCUMENTED = {None, "signature-missing", "signature-invalid", "signature-stale"}

# By name: the changes and the expected reason.
type Forgeries = dict[str, tuple[dict[str, Any], str]]

wire_texts = st.binary(max_size=64).map(lambda raw: raw.decode(errors="surrogateescape"))
forms = st.lists(st.tuples(wire_texts, wire_texts), max_size=4)


NOW_S = 1_700_000_000  # when the vectors were signed

every_clock = pytest.mark.parametrize(
    ("now_s", "reason"),
    [
        (NOW_S - 300.1, "signature-stale"),
        (NOW_S - 300, None),
        (NOW_S + 300, None),
        (NOW_S + 300.1, "signature-stale"),
    ],
)


def refusal(verify: Callable[..., object], request: dict[str, Any], **changes: Any) -> str | None:
    """Return the reason why a request is rejected; None if it is accepted."""
    try:
        verify(**request | changes)
    except CarrierError as error:
        return error.reason
    return None


def headers_like(good: str) -> st.SearchStrategy[str | None]:
    """Generate header values that are missing, right, damaged, too long, or arbitrary."""
    damaged = st.builds(
        lambda at, cut, insert: good[:at] + insert + good[at + cut :],
        st.integers(0, len(good)),
        st.integers(0, 3),
        st.text(max_size=3) | st.sampled_from([",", ".", "=", " ", "\0", "\n", good]),
    )
    return st.none() | st.just(good) | damaged | wire_texts | st.just(good * 100)
