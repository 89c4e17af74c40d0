"""Slots (max_num_seqs) are limited and granted in the order of requests."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from container.cpu.slots import Slots


def test_slots_are_granted_in_the_order_of_requests() -> None:
    slots, granted = Slots(2), list[str]()
    for name in "abcd":
        slots.claim(name, partial(granted.append, name))
    assert (granted, slots.waiting) == (["a", "b"], 2)
    slots.release("c")
    slots.release("a")
    assert (granted, slots.waiting) == (["a", "b", "d"], 0)


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=60))
def test_all_slots_and_no_more_are_used(count: int, steps: list[tuple[bool, int]]) -> None:
    slots, holding, requesting = Slots(count), set[int](), set[int]()
    for claims, name in steps:
        if claims and name not in holding:
            requesting.add(name)
            slots.claim(name, partial(holding.add, name))
        elif not claims:
            requesting.discard(name)
            holding.discard(name)
            slots.release(name)
        assert holding <= requesting
        assert len(holding) == min(count, len(requesting))


def test_a_callback_may_release_its_slot() -> None:
    slots, granted = Slots(1), list[str]()

    def grant(name: str) -> None:
        granted.append(name)
        slots.release(name)

    for name in "abc":
        slots.claim(name, partial(grant, name))
    assert granted == ["a", "b", "c"]
