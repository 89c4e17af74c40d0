"""An event loop in virtual time: instead of waiting, it advances its clock to the next timer.

PyPI's `looptime` is not used because it polls a real selector 43 times before each step, and took
17 times as long for the same timers.

The loop is deterministic: callbacks run in the order in which asyncio schedules them, and tasks,
which asyncio keeps in sets, hash by the order of creation instead of by address. There is no I/O. A
task that waits for a socket or a thread would wait forever, so the run ends with `Standstill`.

A process of the world may be stopped (`process.py`): its callbacks are deferred until it continues.
"""

import asyncio
import contextvars
import itertools
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

PROCESS: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("process")

# Minimum advance of the clock per iteration. If the clock did not advance, a task that waits for a
# deadline below the loop's resolution would wait forever.
_TURN_S: Final = 1e-6
_MAX_TURNS: Final = 1_000_000  # a hundred times as many as a long run needs


class Standstill(Exception):  # noqa: N818 - the name states the condition
    """All tasks wait and no timer is set, so nothing more can happen."""


class Overtime(Exception):  # noqa: N818
    """The run exceeded its limit of virtual time or of iterations."""


class _NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number in its loop, and thus the same in every run."""

    def __init__(self, number: int, *args: Any, **options: Any) -> None:
        self._number = number  # set first, because the base class adds the task to a set
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Handle(asyncio.Handle):
    """A callback that is deferred while its process is stopped."""

    __slots__ = ()
    _loop: "VirtualTimeLoop"

    def _run(self) -> None:
        if not self._loop.defer(self):
            super()._run()


class _TimerHandle(asyncio.TimerHandle):
    """A timer's callback that is deferred while its process is stopped."""

    __slots__ = ()
    _loop: "VirtualTimeLoop"

    def _run(self) -> None:
        if not self._loop.defer(self):
            super()._run()


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time, which begins at 0.

    Args:
        limit_s: virtual time after which the run ends with `Overtime`.
    """

    _ready: deque[asyncio.Handle]  # of BaseEventLoop: the callbacks of this iteration

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self._now_s = 0.0
        self._limit_s = limit_s
        self._turns = 0
        self._selector = self  # BaseEventLoop calls its `select`
        self._stopped: dict[str, list[asyncio.Handle]] = {}  # deferred callbacks by process
        numbers = itertools.count()
        self.set_task_factory(
            lambda loop, coroutine, **options: _NumberedTask(
                next(numbers), coroutine, loop=loop, **options
            )
        )

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s

    def select(self, timeout: float | None) -> tuple[()]:
        """Advance the clock by `timeout`, the time until the next timer.

        Raises:
            Standstill: there is no timer.
            Overtime: the limit is exceeded.
        """
        if timeout is None:
            raise Standstill
        self._turns += 1
        self._now_s += max(timeout, _TURN_S)
        if self._now_s > self._limit_s or self._turns > _MAX_TURNS:
            self._limit_s, self._turns = math.inf, 0  # remaining tasks may still clean up
            raise Overtime
        return ()

    def stop_process(self, name: str) -> None:
        """Defer all callbacks of a process from now on."""
        self._stopped[name] = []

    def continue_process(self, name: str) -> None:
        """Run the deferred callbacks of a process in order, and defer no further ones."""
        self._ready.extend(self._stopped.pop(name))

    def defer(self, handle: asyncio.Handle) -> bool:
        """Defer a callback if its process is stopped; return whether it is."""
        if not self._stopped:
            return False
        waiting = self._stopped.get(handle.get_context().get(PROCESS, ""))
        if waiting is None:
            return False
        waiting.append(handle)
        return True

    def _call_soon(
        self,
        callback: Callable[..., object],
        args: tuple[object, ...],
        context: contextvars.Context | None,
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        timer = super().call_at(when, callback, *args, context=context)
        timer.__class__ = _TimerHandle
        return timer

    def _process_events(self, event_list: object) -> None:
        """Do nothing: there is no I/O."""

    def _write_to_self(self) -> None:
        """Do nothing: no other thread wakes the loop."""


def run[T](main: Coroutine[Any, Any, T], limit_s: float) -> T:
    """Run a coroutine in a new virtual time; cancel the tasks that it leaves behind.

    Raises:
        Standstill: nothing more could happen.
        Overtime: the coroutine did not end within `limit_s`.
    """
    loop = VirtualTimeLoop(limit_s)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
