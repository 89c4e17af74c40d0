"""An event loop with real sockets in virtual time.

If no socket is ready, it advances its clock to the next timer instead of waiting. Both ends of each
connection must be in this loop: what one end has written, the other can then read at once.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final

_DELIVERY_S: Final = 0.001  # for a kernel under load to deliver what was written
_FRAME_S: Final = 0.1  # an advance of which too early would change no test's result
_LIMIT_S: Final = 3600.0  # of virtual time


class _Selector(selectors.DefaultSelector):
    """Advances a clock by the time that it would have waited."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; else advance the clock."""
        ready = super().select(0)
        if not ready and timeout != 0:
            ready = super().select(self._patience_s(timeout))
            if not ready and timeout:
                self.now_s += timeout + 1e-6
                if self.now_s > _LIMIT_S:
                    raise TimeoutError
        return ready

    @staticmethod
    def _patience_s(timeout: float | None) -> float:
        if timeout is None:
            return 1.0
        return 0.0 if timeout <= _FRAME_S else _DELIVERY_S


class SocketLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._clock.now_s


def in_virtual_time[**P](test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in a new loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=SocketLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
