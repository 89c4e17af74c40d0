"""Combine deltas into fewer messages, for clients that ask for it. Pure.

Most deltas are empty, and each costs a message. A client that connects with `?coalesce_ms=400` gets
the deltas of up to 400 ms in one message:

    {"type":"transcription.deltas","deltas":[7," hello",2,"."]}

A number stands for that many empty deltas, a text for one delta with text. Their sum is the number
of deltas, so the token clock of the client stays exact.
"""

import re
from typing import Final

import msgspec

MAX_WINDOW_MS: Final = 1000
# Limits of what is collected, even if all of it arrives within one window.
_MAX_ITEMS: Final = 64
_MAX_DELTA_BYTES: Final = 4096  # far longer than a token; a longer message is sent as it is
_MAX_EMPTY: Final = 10_000  # in one number
_DELTA: Final = b'"transcription.delta"'
TYPE_BYTES: Final = 64  # a message's type is its first field
_EMPTY: Final = b'""'
_NUMBER: Final = re.compile("[0-9]{1,4}")


class _Delta(msgspec.Struct, tag="transcription.delta", forbid_unknown_fields=True, gc=False):
    delta: msgspec.Raw  # is copied as it is


_decode = msgspec.json.Decoder(_Delta).decode


def window_s(text: str | None) -> float:
    """Return the window that a client asks for, in seconds; 0 if it asks for none, or wrongly."""
    if text is None or not _NUMBER.fullmatch(text) or int(text) > MAX_WINDOW_MS:
        return 0.0
    return int(text) / 1000


class Coalescer:
    """Collects the deltas of one window."""

    def __init__(self) -> None:
        self._items: list[bytes] = []
        self._empty = 0  # deltas without text since the last item

    @property
    def is_empty(self) -> bool:
        """Whether no delta is collected."""
        return not (self._items or self._empty)

    @property
    def is_full(self) -> bool:
        """Whether `take` must be called before another delta is added."""
        return len(self._items) >= _MAX_ITEMS or self._empty >= _MAX_EMPTY

    def add(self, message: bytes) -> bool:
        """Collect a message; return False if it is not a plain delta and must be sent as it is."""
        if len(message) > _MAX_DELTA_BYTES or message.find(_DELTA, 0, TYPE_BYTES) < 0:
            return False
        try:
            text = bytes(_decode(message).delta)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if not text.startswith(b'"'):
            return False
        if text == _EMPTY:
            self._empty += 1
        else:
            self._close_run()
            self._items.append(text)
        return True

    def take(self) -> bytes:
        """Return the collected deltas as one message, and begin again."""
        self._close_run()
        message = b'{"type":"transcription.deltas","deltas":[' + b",".join(self._items) + b"]}"
        self._items.clear()
        return message

    def _close_run(self) -> None:
        if self._empty:
            self._items.append(b"%d" % self._empty)
            self._empty = 0
