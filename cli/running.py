"""Runs a command's coroutine until it is done or the user has had enough."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final

import uvloop

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run[T](command: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end.

    Ctrl-C, SIGTERM and a terminal that closes cancel it, so nothing is left behind. A second one
    cancels the cleaning up, too: what waits there for others ends them by force.

    Raises:
        KeyboardInterrupt: after the command has cleaned up.
    """

    async def main() -> T:
        task = asyncio.current_task()
        if task is None:  # a coroutine always runs in a task
            raise RuntimeError
        for each in _ENDS:
            if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup has it
                asyncio.get_running_loop().add_signal_handler(each, task.cancel)
        return await command

    try:
        return uvloop.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
