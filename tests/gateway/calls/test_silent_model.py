"""The rut watch: how many empty tokens, over how much sound, how patient after the first."""

import pytest

from gateway.calls.silent_model import SilentModelWatch
from gateway.transcript.token_clock import TOKEN_MS

TOKENS = 10
ENOUGH_MS = TOKENS // 2 * TOKEN_MS


def watch(*texts: str) -> SilentModelWatch:
    rut = SilentModelWatch(TOKENS)
    for text in texts:
        rut.note(text)
    return rut


@pytest.mark.parametrize(
    ("texts", "loud_ms", "found"),
    [
        ([""] * TOKENS, ENOUGH_MS, True),
        ([""] * (TOKENS - 1), ENOUGH_MS, False),
        ([""] * TOKENS, ENOUGH_MS - 1, False),
        (["", "word", *[""] * (TOKENS - 1)], ENOUGH_MS, False),
        (["", "word", *[""] * TOKENS], ENOUGH_MS, True),
    ],
)
def test_empty_tokens_over_sound(texts: list[str], loud_ms: int, *, found: bool) -> None:
    assert watch(*texts).finds(loud_ms) is found


def test_it_is_twice_as_patient_each_time() -> None:
    rut = watch()
    for tokens in (TOKENS, 2 * TOKENS, 4 * TOKENS):
        assert rut.span_ms == tokens * TOKEN_MS
        for _ in range(tokens - 1):
            rut.note("")
        assert not rut.finds(rut.span_ms)
        rut.note("")
        assert not rut.finds(rut.span_ms // 2 - 1)
        assert rut.finds(rut.span_ms // 2)
        assert not rut.finds(rut.span_ms)


def test_a_word_makes_it_as_impatient_as_at_first() -> None:
    rut = watch(*[""] * TOKENS)
    assert rut.finds(ENOUGH_MS)
    for text in ("word", *[""] * TOKENS):
        rut.note(text)
    assert rut.finds(ENOUGH_MS)
