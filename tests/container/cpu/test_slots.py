"""max_num_seqs: who waits, and who is next."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from container.cpu.slots import Slots


def test_first_come_first_served() -> None:
    slots, granted = Slots(2), list[str]()
    for name in "abcd":
        slots.claim(name, partial(granted.append, name))
    assert (granted, slots.waiting) == (["a", "b"], 2)
    slots.release("c")
    slots.release("a")
    assert (granted, slots.waiting) == (["a", "b", "d"], 0)


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=60))
def test_never_more_than_the_slots_nor_idle_ones(count: int, steps: list[tuple[bool, int]]) -> None:
    slots, holding, wishing = Slots(count), set[int](), set[int]()
    for claims, name in steps:
        if claims and name not in holding:
            wishing.add(name)
            slots.claim(name, partial(holding.add, name))
        elif not claims:
            wishing.discard(name)
            holding.discard(name)
            slots.release(name)
        assert holding <= wishing
        assert len(holding) == min(count, len(wishing))


def test_a_grant_may_release_at_once() -> None:
    slots, granted = Slots(1), list[str]()

    def grant(name: str) -> None:
        granted.append(name)
        slots.release(name)

    for name in "abc":
        slots.claim(name, partial(grant, name))
    assert granted == ["a", "b", "c"]
