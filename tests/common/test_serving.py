"""Signals to a real process: the first sets `stop`, the second `hurry`, Ctrl-C both."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.serving import stop_signals

LIMIT_S = 30.0

REPORT = """
import asyncio
from common.serving import stop_requested
from common.serving import stop_signals

async def main():
    stop, hurry, at_once = stop_signals()
    print("ready", flush=True)
    await stop.wait()
    print("stop", hurry.is_set(), flush=True)
    await hurry.wait()
    print("hurry", at_once.is_set(), flush=True)
    await at_once.wait()
    print("at once", flush=True)

async def simple():
    stop = stop_requested()
    print("ready", flush=True)
    await stop.wait()
    print("stop", flush=True)

asyncio.run({main}())
"""


@asynccontextmanager
async def reporting(main: str) -> AsyncIterator[Process]:
    """Run a process that prints the events that signals set, and then ends."""
    command = sys.executable, "-c", REPORT.replace("{main}", main)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        assert await printed(process) == "ready"
        yield process
        assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def printed(process: Process) -> str:
    assert process.stdout
    line = await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
    return line.decode().strip()


async def test_each_sigterm_sets_the_next_event() -> None:
    async with reporting("main") as process:
        process.send_signal(signal.SIGTERM)
        assert await printed(process) == "stop False"
        process.send_signal(signal.SIGTERM)
        assert await printed(process) == "hurry False"
        process.send_signal(signal.SIGTERM)
        assert await printed(process) == "at once"


async def test_first_sigterm_after_drain_does_not_hurry() -> None:
    """Symptom: after POST /drain, the platform's SIGTERM ended the live calls."""
    signals = stop_signals()
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        signals.stop.set()
        signal.raise_signal(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGUSR1, seen.set)
        signal.raise_signal(signal.SIGUSR1)  # handled after it
        await asyncio.wait_for(seen.wait(), LIMIT_S)
        assert not signals.hurry.is_set()
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(signals.hurry.wait(), LIMIT_S)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            loop.remove_signal_handler(number)


async def test_sigint_after_sigterm_hurries() -> None:
    async with reporting("main") as process:
        process.send_signal(signal.SIGTERM)
        assert await printed(process) == "stop False"
        process.send_signal(signal.SIGINT)
        assert await printed(process) == "hurry False"
        process.send_signal(signal.SIGTERM)
        assert await printed(process) == "at once"


async def test_sigint_sets_stop_and_hurry() -> None:
    async with reporting("main") as process:
        process.send_signal(signal.SIGINT)
        assert await printed(process) == "stop True"
        assert await printed(process) == "hurry False"
        process.send_signal(signal.SIGTERM)
        assert await printed(process) == "at once"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop_requested_is_set_by_one_signal(number: signal.Signals) -> None:
    async with reporting("simple") as process:
        process.send_signal(number)
        assert await printed(process) == "stop"
