"""A process that may be stopped and continued, as by SIGSTOP and SIGCONT, on the loop of its world.

What belongs to a process is known by its context: its tasks, and the timers and callbacks they set.
While it is stopped the loop puts those aside in the order they fall due (`loop.py`), and what comes
from outside waits as in a socket. What runs outside, such as a network or a server, has the context
`OUTSIDE`.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tests.simulation.loop import PROCESS, VirtualTimeLoop

OUTSIDE: Final = contextvars.Context()


class Process:
    """One process of a world.

    Args:
        name: its own.
    """

    def __init__(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        self._loop = loop
        self._name = name
        self._context = contextvars.Context()
        self._context.run(PROCESS.set, name)
        self._stops: list[tuple[float, float | None]] = []  # from, to
        self._continued = asyncio.Event()
        self._continued.set()

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of it runs now."""
        return not self._continued.is_set()

    def enter(self, do: Callable[..., object], *args: object) -> None:
        """Call into the process from outside: now, or when it goes on."""
        if self.is_stopped:
            self._loop.call_soon(do, *args, context=self._context.copy())
        else:
            self._context.copy().run(do, *args)

    def spawn[T](self, main: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of the process."""
        return self._loop.create_task(main, context=self._context.copy())

    def stop(self) -> None:
        """Stop it. Idempotent."""
        if not self.is_stopped:
            self._continued.clear()
            self._stops.append((self._loop.time(), None))
            self._loop.stop_process(self._name)

    def go_on(self) -> None:
        """Continue it. Idempotent."""
        if self.is_stopped:
            self._stops[-1] = self._stops[-1][0], self._loop.time()
            self._loop.continue_process(self._name)
            self._continued.set()

    async def until_continued(self) -> None:
        """Wait until it runs."""
        await self._continued.wait()

    def stopped_s(self, since_s: float) -> float:
        """Return for how long it was stopped since a moment of the loop's time."""
        now_s = self._loop.time()
        return sum(
            max(0.0, (now_s if to_s is None else to_s) - max(from_s, since_s))
            for from_s, to_s in self._stops
        )
