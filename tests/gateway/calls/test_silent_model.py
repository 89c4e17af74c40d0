"""Detection of a silent model: how many empty tokens, over how much loud audio."""

import pytest

from gateway.calls.silent_model import SilentModelWatch
from gateway.upstream.dialects.voxtral import TOKEN_MS

TOKENS = 10
ENOUGH_MS = TOKENS // 2 * TOKEN_MS


def watch(*texts: str) -> SilentModelWatch:
    silence = SilentModelWatch(TOKENS * TOKEN_MS)
    for text in texts:
        silence.note(text, TOKEN_MS)
    return silence


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
def test_model_is_silent_after_enough_empty_tokens_over_loud_audio(
    texts: list[str], loud_ms: int, *, found: bool
) -> None:
    assert watch(*texts).is_silent(loud_ms) is found


def test_threshold_doubles_after_each_back_off() -> None:
    silence = watch()
    for tokens in (TOKENS, 2 * TOKENS, 4 * TOKENS):
        assert silence.span_ms == tokens * TOKEN_MS
        for _ in range(tokens - 1):
            silence.note("", TOKEN_MS)
        assert not silence.is_silent(silence.span_ms)
        silence.note("", TOKEN_MS)
        assert not silence.is_silent(silence.span_ms // 2 - 1)
        assert silence.is_silent(silence.span_ms // 2)
        silence.back_off()
        assert not silence.is_silent(silence.span_ms)


def test_word_resets_the_threshold() -> None:
    silence = watch(*[""] * TOKENS)
    assert silence.is_silent(ENOUGH_MS)
    silence.back_off()
    for text in ("word", *[""] * TOKENS):
        silence.note(text, TOKEN_MS)
    assert silence.is_silent(ENOUGH_MS)
