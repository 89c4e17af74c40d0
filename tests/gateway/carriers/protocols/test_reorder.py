"""Reordering of frames within a window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.events import AudioReceived
from gateway.carriers.protocols.reorder import Reorder

FRAME_BYTES = 160
WINDOW = 10 * FRAME_BYTES


def frame(number: int | None, size: int = FRAME_BYTES) -> AudioReceived:
    return AudioReceived("inbound", bytes(size), None, number)


def numbers(arrivals: list[int | None], *, flush: bool = True) -> list[int | None]:
    reorder = Reorder(WINDOW)
    given = [each for number in arrivals for each in reorder.receive(frame(number))]
    return [each.sequence for each in (*given, *(reorder.flush() if flush else ()))]


@pytest.mark.parametrize(
    ("arrivals", "passed_on"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([2, 1, 3], [1, 2, 3]),
        ([1, 3, 2, 4], [1, 2, 3, 4]),
        ([1, 2, 5, 4, 3, 6], [1, 2, 3, 4, 5, 6]),
        ([1, 2, 2, 3], [1, 2, 2, 3]),  # the media clock drops the duplicate
        ([1, 3, 3, 2], [1, 2, 3, 3]),
        ([None, 1, None], [None, 1, None]),
        ([7, 8, 6], [6, 7, 8]),  # a carrier whose first number is not 1
    ],
)
def test_frames_are_put_in_order(arrivals: list[int | None], passed_on: list[int | None]) -> None:
    assert numbers(arrivals) == passed_on


def test_frames_with_one_number_keep_the_order_of_arrival() -> None:
    reorder = Reorder(WINDOW)
    arrivals = [frame(1), frame(3, 20), frame(3, 10), frame(3, 30), frame(2)]
    passed_on = [each for arrival in arrivals for each in reorder.receive(arrival)]
    assert [len(each.payload) for each in passed_on] == [160, 160, 20, 10, 30]


def test_ordered_frames_are_not_held() -> None:
    assert numbers([1, 2, 3], flush=False) == [1, 2, 3]


def test_missing_frame_is_skipped_after_the_window() -> None:
    assert numbers([1, *range(3, 12)], flush=False) == [1]
    assert numbers([1, *range(3, 14)], flush=False) == [1, *range(3, 14)]


def test_frame_that_arrives_after_it_was_skipped_is_passed_on() -> None:
    assert numbers([1, *range(3, 14), 2], flush=False) == [1, *range(3, 14), 2]


def test_held_empty_frames_are_limited() -> None:
    """Symptom: empty frames with holes in their numbers filled the memory."""
    reorder = Reorder(window_bytes=10)
    given = [each for number in range(2, 200, 2) for each in reorder.receive(frame(number, 0))]
    assert len(given) == 99 - 10
    assert len(reorder.flush()) == 10


@given(st.permutations(range(1, 40)))
def test_no_frame_is_lost_or_repeated(arrivals: list[int]) -> None:
    assert sorted(numbers([*arrivals]), key=lambda n: n or 0) == list(range(1, 40))


@given(st.data())
def test_any_disorder_within_the_window_is_corrected(data: st.DataObject) -> None:
    late = data.draw(st.lists(st.integers(0, 9), min_size=40, max_size=40))
    arrivals = sorted(range(1, 41), key=lambda n: (n + late[n - 1], n))
    assert numbers([*arrivals]) == list(range(1, 41))
