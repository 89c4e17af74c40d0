"""Timers of the event loop, at most one per purpose."""

import asyncio
from collections.abc import Callable

type Purpose = Callable[[], None]  # what the timer is to call


class Timers:
    """What is to be called later. A timer that has run counts until `stop`."""

    def __init__(self) -> None:
        self._handles: dict[Purpose, asyncio.TimerHandle] = {}

    def __contains__(self, purpose: Purpose) -> bool:
        """Return whether a timer is set for this callback."""
        return purpose in self._handles

    def after(self, delay_s: float, purpose: Purpose) -> None:
        """Set a timer, unless there is one."""
        if purpose not in self._handles:
            loop = asyncio.get_running_loop()
            self._handles[purpose] = loop.call_later(delay_s, purpose)

    def stop(self, purpose: Purpose) -> None:
        """Cancel a timer, if one is set, so that it can be set again."""
        if handle := self._handles.pop(purpose, None):
            handle.cancel()

    def stop_all(self) -> None:
        """Cancel all timers; none can be set again."""
        for handle in self._handles.values():
            handle.cancel()
