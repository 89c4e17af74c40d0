"""A simulated process that can be stopped and continued, as by SIGSTOP and SIGCONT.

The context variable `PROCESS` marks what belongs to a process: its tasks, and the timers and
callbacks that they set. While the process is stopped, the loop defers those in the order in which
they are due (`loop.py`), and calls from outside wait as in a socket's buffer. Everything outside,
such as networks and servers, runs in the context `OUTSIDE`.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tests.simulation.loop import PROCESS, VirtualTimeLoop

OUTSIDE: Final = contextvars.Context()


class Process:
    """One simulated process.

    Args:
        name: unique in its world.
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
        """Whether the process is stopped."""
        return not self._continued.is_set()

    def enter(self, do: Callable[..., object], *args: object) -> None:
        """Call into the process from outside: now or, if it is stopped, when it continues."""
        if self.is_stopped:
            self._loop.call_soon(do, *args, context=self._context.copy())
        else:
            self._context.copy().run(do, *args)

    def spawn[T](self, main: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of the process."""
        return self._loop.create_task(main, context=self._context.copy())

    def stop(self) -> None:
        """Stop the process. Idempotent."""
        if not self.is_stopped:
            self._continued.clear()
            self._stops.append((self._loop.time(), None))
            self._loop.stop_process(self._name)

    def resume(self) -> None:
        """Continue the process. Idempotent."""
        if self.is_stopped:
            self._stops[-1] = self._stops[-1][0], self._loop.time()
            self._loop.continue_process(self._name)
            self._continued.set()

    async def until_continued(self) -> None:
        """Wait until the process is not stopped."""
        await self._continued.wait()

    def stopped_s(self, since_s: float) -> float:
        """Return how many seconds it was stopped since `since_s`, in the loop's time."""
        now_s = self._loop.time()
        return sum(
            max(0.0, (now_s if to_s is None else to_s) - max(from_s, since_s))
            for from_s, to_s in self._stops
        )
