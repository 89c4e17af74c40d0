"""The token clock returns the numbers that were measured on vLLM 0.32.0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu.clock import TokenClock

CLOCK = TokenClock(480)


@pytest.mark.parametrize(
    ("samples", "live", "total"),
    [
        (0, 0, 0),
        (1, 0, 10),
        (1279, 0, 11),
        (1280, 0, 11),
        (8999, 0, 17),
        (9000, 1, 18),
        (9001, 1, 18),
        (10_279, 1, 18),
        (10_280, 2, 19),
        (16_000, 6, 23),
        (32_000, 18, 35),
    ],
)
def test_number_of_deltas_as_measured(samples: int, live: int, total: int) -> None:
    assert (CLOCK.live(samples), CLOCK.total(samples)) == (live, total)


@given(st.integers(1, 10**9))
def test_number_of_deltas_at_480_ms_in_closed_form(samples: int) -> None:
    assert CLOCK.live(samples) == max(0, 1 + (samples - 9000) // 1280)
    assert CLOCK.total(samples) == 1 + (samples + 12_760) // 1280


@pytest.mark.parametrize(("delay_ms", "first"), [(80, 2600), (480, 9000), (2400, 39_720)])
def test_first_delta_follows_the_delay(delay_ms: int, first: int) -> None:
    clock = TokenClock(delay_ms)
    assert (clock.live(first - 1), clock.live(first)) == (0, 1)


@given(st.integers(1, 100_000))
def test_samples_for_is_the_inverse_of_live(deltas: int) -> None:
    needed = CLOCK.samples_for(deltas)
    assert (CLOCK.live(needed - 1), CLOCK.live(needed)) == (deltas - 1, deltas)


def test_prompt_tokens_are_39_at_480_ms() -> None:
    assert CLOCK.prompt_tokens == 39
