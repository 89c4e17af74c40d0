"""Detect a server that sends only words where a delta per 80 ms is expected. Pure.

Most deltas of Voxtral are empty, even while someone speaks. Another model's deltas all have text,
and are far fewer than the audio. An answer for each 80 ms that comes too slowly looks alike, but
some of its answers are empty; answers that are withheld by the network arrive in a burst.
"""

from typing import Final

_LEAST_S: Final = 1.0  # between two samples
_SLOW: Final = 0.5  # answered audio per second; at least as much must be sent
_SAMPLES: Final = 4  # in a row
_SAMPLES_AT_FIRST: Final = 2  # likewise, if no answer of the session was empty
_LEAST_ANSWERS: Final = 8  # in these samples: a word or two may be all that a slow server sends
# The share of answers that may be empty; fluent speech has at least twice as many. Qwen3-ASR ends
# each of its segments with one.
_MOST_EMPTY: Final = 0.25
_LEAST_LAG_MS: Final = 4000  # more than the longest delay of a model


class WordsOnlyWatch:
    """Compares the answers of one session with the time, about once a second."""

    def __init__(self) -> None:
        self._sampled_s: float | None = None
        self._answers = 0  # at the last sample
        self._empty = 0
        self._answered_ms = 0
        self._sent_ms = 0
        self._suspicious = 0  # samples in a row with few answers, nearly all with text
        self._since = 0  # answers before these samples

    def sample(
        self, now_s: float, *, answers: int, empty: int, answered_ms: int, lag_ms: int
    ) -> bool:
        """Return whether the server sends only words.

        Args:
            now_s: on the monotonic clock.
            answers: number of answers so far.
            empty: how many of them have no text.
            answered_ms: audio that they cover.
            lag_ms: audio that was sent and has no answer.
        """
        sent_ms = answered_ms + lag_ms
        elapsed_s = _LEAST_S if self._sampled_s is None else now_s - self._sampled_s
        if elapsed_s < _LEAST_S or answers == self._answers:
            return False
        few_ms = 1000 * _SLOW * elapsed_s
        is_slow = answered_ms - self._answered_ms < few_ms <= sent_ms - self._sent_ms
        if is_slow and empty - self._empty <= _MOST_EMPTY * (answers - self._answers):
            self._since = self._since if self._suspicious else self._answers
            self._suspicious += 1
        else:
            self._suspicious = 0
        self._sampled_s, self._answered_ms, self._sent_ms = now_s, answered_ms, sent_ms
        self._answers, self._empty = answers, empty
        is_enough = answers - self._since >= _LEAST_ANSWERS and lag_ms >= _LEAST_LAG_MS
        return is_enough and self._suspicious >= (_SAMPLES if empty else _SAMPLES_AT_FIRST)
