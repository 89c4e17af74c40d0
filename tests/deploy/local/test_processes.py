"""Child processes are started, monitored, and ended with their parent."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest

from deploy.local.processes import Part, ProcessFailed, RunningPart, answers
from deploy.local.stack import Ports

SERVE = """
import http.server, os
handler = http.server.SimpleHTTPRequestHandler
http.server.test(handler, port=int(os.environ["PORT"]), bind="127.0.0.1")
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVE


def python(code: str, port: int = 0, path: str | None = None) -> Part:
    probe = answers("127.0.0.1", port, path)
    return Part("part", (sys.executable, "-c", code), {"PORT": str(port)}, probe)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[[Part], asyncio.Task[RunningPart]]]:
    """Start parts, and end them after the test."""
    started: list[asyncio.Task[RunningPart]] = []

    def begin(part: Part) -> asyncio.Task[RunningPart]:
        started.append(asyncio.ensure_future(RunningPart.start(part, tmp_path)))
        return started[-1]

    yield begin
    for each in started:
        await (await each).end()


type Start = Callable[[Part], asyncio.Task[RunningPart]]


async def test_a_part_is_ready_when_its_probe_succeeds(start: Start, unused_tcp_port: int) -> None:
    part = await start(python(SERVE, unused_tcp_port, "/"))
    await part.until_ready(30)
    assert await answers("127.0.0.1", unused_tcp_port)()
    assert not await answers("127.0.0.1", unused_tcp_port, "/no-such-file")()
    await part.end()
    assert not await answers("127.0.0.1", unused_tcp_port)()


async def test_an_exit_at_startup_is_reported_with_the_log(
    start: Start, unused_tcp_port: int
) -> None:
    part = await start(python("raise SystemExit('no model here')", unused_tcp_port))
    with pytest.raises(ProcessFailed, match=r"part ended with code 1\n  no model here"):
        await part.until_ready(30)


async def test_a_part_that_is_never_ready_times_out(start: Start, unused_tcp_port: int) -> None:
    part = await start(python("import time; time.sleep(60)", unused_tcp_port))
    with pytest.raises(ProcessFailed, match=r"was not ready after 0\.2 s"):
        await part.until_ready(0.2)


async def test_an_unexpected_exit_is_reported(start: Start, unused_tcp_port: int) -> None:
    part = await start(python(SERVE, unused_tcp_port, "/"))
    await part.until_ready(30)
    os.kill(part.pid, signal.SIGKILL)
    with pytest.raises(ProcessFailed, match="ended with code -9"):
        await asyncio.wait_for(part.until_exit(), 10)


async def test_a_part_that_ignores_sigterm_is_killed(
    start: Start, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.processes._END_TIMEOUT_S", 0.1)
    part = await start(python(STUBBORN, unused_tcp_port, "/"))
    await part.until_ready(30)
    await part.end()
    assert not psutil.pid_exists(part.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG exists on Linux only")
def test_children_of_a_killed_parent_exit(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from deploy.local.processes import Part
from deploy.local.processes import RunningPart
async def main():
    part = Part("part", (sys.executable, "-c", "import time; time.sleep(60)"), {{}}, None)
    running = await RunningPart.start(part, Path({str(tmp_path)!r}))
    print(running.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    command = sys.executable, "-c", code
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:  # noqa: S603 (the command is constant)
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_ports_in_use_are_reported() -> None:
    ports = Ports.free()
    assert ports.in_use() == []
    with socket.create_server(("127.0.0.1", ports.bridge)):
        assert ports.in_use() == [f"bridge ({ports.bridge})"]


async def test_a_killed_part_can_be_restarted(start: Start, unused_tcp_port: int) -> None:
    part = await start(python(STUBBORN, unused_tcp_port))
    await part.until_ready(30)
    await part.kill()
    assert part.exit_code == -signal.SIGKILL
    again = await part.start_again()
    try:
        await again.until_ready(30)
        assert again.pid != part.pid
        assert again.name == "part"
    finally:
        await again.end()
