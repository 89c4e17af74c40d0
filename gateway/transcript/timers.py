"""Timers of the event loop, at most one per purpose."""

import asyncio
from collections.abc import Callable

type Purpose = Callable[[], None]  # what the timer is to call


class Timers:
    """What is to be called later. A timer that has run counts until `stop`."""

    def __init__(self) -> None:
        self._handles: dict[Purpose, asyncio.TimerHandle] = {}

    def __contains__(self, purpose: Purpose) -> bool:
        """Tell whether there is a timer for this."""
        return purpose in self._handles

    def after(self, delay_s: float, purpose: Purpose) -> None:
        """Set a timer, unless there is one."""
        if purpose not in self._handles:
            loop = asyncio.get_running_loop()
            self._handles[purpose] = loop.call_later(delay_s, purpose)

    def stop(self, purpose: Purpose) -> None:
        """Take a timer away, if there is one, so that it can be set anew."""
        if handle := self._handles.pop(purpose, None):
            handle.cancel()

    def stop_all(self) -> None:
        """Let none of those that are set run; they cannot be set anew."""
        for handle in self._handles.values():
            handle.cancel()
