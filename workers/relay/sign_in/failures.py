"""Counts failed sign-ins by address. Pure.

Tokens can't be guessed, so the limit protects the log and not the tokens. Only failures are
refused: a valid link is accepted from an address that has reached the limit, because many viewers
may share it.
"""

from typing import Final

_LIMIT: Final = 10  # per address and minute
_MAX_ADDRESSES: Final = 4096
_WINDOW_S: Final = 60.0


class Failures:
    """The failures of the current minute."""

    def __init__(self) -> None:
        self._window = 0
        self._counts: dict[str, int] = {}

    def note(self, address: str, monotonic_s: float) -> bool:
        """Count a failure; return whether the address has reached the limit.

        If more addresses fail in a minute than are kept, all others have reached it.
        """
        window = int(monotonic_s / _WINDOW_S)
        if window != self._window:
            self._window, self._counts = window, {}
        if address not in self._counts and len(self._counts) >= _MAX_ADDRESSES:
            return True
        count = self._counts.get(address, 0) + 1
        self._counts[address] = count
        return count > _LIMIT
