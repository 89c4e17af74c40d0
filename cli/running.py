"""Runs a command's coroutine until it is done or interrupted."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final

import uvloop

_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run[T](command: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end.

    Ctrl-C, SIGTERM and SIGHUP (the terminal is closed) cancel the command, which then cleans up. A
    second signal cancels the cleanup as well: processes that it waits for are then killed.

    Raises:
        KeyboardInterrupt: a signal cancelled the command, and it has cleaned up.
    """

    async def main() -> T:
        task = asyncio.current_task()
        if task is None:  # a coroutine always runs in a task
            raise RuntimeError
        for each in _INTERRUPTS:
            if signal.getsignal(each) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                asyncio.get_running_loop().add_signal_handler(each, task.cancel)
        return await command

    try:
        return uvloop.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
