"""Running a command's coroutine until it is done or the user has had enough."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop


def run[T](command: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; SIGTERM is answered as Ctrl-C is, so nothing is left behind.

    Raises:
        KeyboardInterrupt: after the command has cleaned up.
    """

    async def main() -> T:
        task = asyncio.current_task()
        if task is None:  # a coroutine always runs in a task
            raise RuntimeError
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await command

    try:
        return uvloop.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
