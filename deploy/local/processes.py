"""Run child processes: start them, wait until they are ready, and never leave one behind."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_READY_POLL_S: Final = 0.05
_END_TIMEOUT_S: Final = 5.0  # from SIGTERM until SIGKILL
_TAIL_LINES: Final = 15
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class ProcessFailed(Exception):  # noqa: N818 (named like an event)
    """A process did not start, or exited unexpectedly; the message has the end of its log."""


type Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Part:
    """One process to run."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Probe  # polled until it returns True; must return quickly


class RunningPart:
    """A started process, whose output goes to a file."""

    def __init__(self, part: Part, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name = part.name
        self.pid = process.pid
        self._part = part
        self._log = log
        self._process = process

    @classmethod
    async def start(cls, part: Part, folder: Path) -> Self:
        """Start a part with `folder` as its working directory and the place of its log."""
        log = folder / f"{part.name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *part.argv,
                env=part.env,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C then reaches only the parent, which ends the parts
                preexec_fn=_end_with_parent(os.getpid()),
            )
        return cls(part, log, process)

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while the process runs."""
        return self._process.returncode

    async def until_ready(self, timeout_s: float) -> None:
        """Wait until the part is ready.

        Raises:
            ProcessFailed: the process exited, or was not ready in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not await self._part.ready():
            if self._process.returncode is not None:
                raise self._failed(f"ended with code {self._process.returncode}")
            if time.monotonic() > deadline_s:
                raise self._failed(f"was not ready after {timeout_s:g} s")
            await asyncio.sleep(_READY_POLL_S)

    async def until_exit(self) -> None:
        """Wait until the process exits unexpectedly.

        Raises:
            ProcessFailed: always.
        """
        code = await self._process.wait()
        raise self._failed(f"ended with code {code}")

    async def end(self) -> None:
        """End the process with SIGTERM and, after `_END_TIMEOUT_S`, with SIGKILL."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def kill(self) -> None:
        """Kill the process, as in a crash, and wait until it has exited."""
        self.kill_now()
        await self._process.wait()

    def kill_now(self) -> None:
        """Send SIGKILL if the process still runs."""
        if self._process.returncode is None:
            self._process.kill()

    async def start_again(self) -> "RunningPart":
        """Start the same part again in the same folder."""
        return await RunningPart.start(self._part, self._log.parent)

    def _failed(self, what: str) -> ProcessFailed:
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return ProcessFailed("\n".join([f"{self.name} {what}", *(f"  {line}" for line in lines)]))


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """Open a TaskGroup that raises its first exception itself instead of an ExceptionGroup."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def answers(host: str, port: int, path: str | None = None) -> Probe:
    """Return a probe: whether the port accepts connections and GET `path`, if set, returns 200."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    if path is None:
                        return True
                    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                    writer.write(request.encode())
                    return (await reader.readline()).split()[1:2] == [b"200"]
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    return probe


def _end_with_parent(parent: int) -> Callable[[], None] | None:
    """Return the function that makes Linux kill a new child when its parent exits for any reason.

    On other systems, return None: there, only an orderly exit of the parent ends its children.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent exited in between
            os._exit(1)

    return ask
