"""One child process of the entrypoint, with the processes that it starts."""

import asyncio
import contextlib
import logging
import os
import signal
from typing import Final, Self

from container.entrypoint.engine import Command

_log = logging.getLogger(__name__)

_KILL_TIMEOUT_S: Final = 2.0


class Child:
    """A running child process, in a process group of its own.

    Attributes:
        name: for the log.
        ended: completes when the process has ended, with its return code.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self.ended = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(cls, name: str, command: Command) -> Self:
        """Start a process; raises OSError if the command can't be run.

        The group keeps a terminal's Ctrl-C from the process: only the entrypoint stops it.
        """
        process = await asyncio.create_subprocess_exec(
            *command.words, env=command.environment, start_new_session=True
        )
        return cls(name, process)

    async def stop(self, timeout_s: float, hurry: asyncio.Event) -> None:
        """Send SIGTERM; after the timeout, or once `hurry` is set, kill the whole group."""
        hurrying = asyncio.ensure_future(hurry.wait())
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await asyncio.wait(
            {self.ended, hurrying}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        hurrying.cancel()
        if not self.ended.done():
            _log.warning("%s-killed it did not end after SIGTERM", self.name)
        # vLLM's workers are in the group, too, and hold the GPU if the server was killed.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # A process that hangs in the GPU's driver can't be killed; the container ends without it.
        await asyncio.wait({self.ended}, timeout=_KILL_TIMEOUT_S)


def describe(code: int) -> str:
    """Describe a return code of a process."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"


def exit_code(code: int) -> int:
    """Return the container's exit code for a process that ended with `code` on its own."""
    return 128 - code if code < 0 else code or 1
