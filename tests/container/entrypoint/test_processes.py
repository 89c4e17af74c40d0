"""The image's process tree, run for real: entrypoint, a command in vLLM's place, bridge."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest

from cli.conform.dialogue import Dialogue
from tests.container.cpu.dialogue import MODEL, dialogue
from tests.redis_servers import free_port
from tests.waiting import eventually

OURS = ("ENTRYPOINT_", "BRIDGE_", "ENGINE_", "SM_VLLM_", "FAKE_", "VLLM_", "HF_")
SECOND = b"\1\0" * 16_000


@dataclass(slots=True)
class Container:
    """A running entrypoint."""

    process: asyncio.subprocess.Process
    folder: Path
    bridge_url: str
    log: Path

    @property
    def record(self) -> dict[str, Any]:
        """What the command in vLLM's place recorded."""
        read: dict[str, Any] = json.loads((self.folder / "record").read_text())
        return read

    def has_started_engine(self) -> bool:
        return (self.folder / "record").exists()

    def child(self, module: str) -> psutil.Process:
        """Return the process of a module."""
        (found,) = (
            each
            for each in psutil.Process(self.process.pid).children()
            if module in " ".join(each.cmdline())
        )
        return found

    async def ping(self) -> int:
        """Return the status of `/ping`; 0 while nothing listens."""
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"{self.bridge_url}/ping") as response,
            ):
                return response.status
        except aiohttp.ClientConnectionError:
            return 0

    async def ready(self) -> None:
        async with asyncio.timeout(30):
            while await self.ping() != 200:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Dialogue]:
        """Start a call through the bridge; its first second is transcribed."""
        async with dialogue(f"{self.bridge_url}/invocations-bidirectional-stream") as client:
            await client.update(MODEL)
            await client.commit()
            await client.append(SECOND)
            await client.deltas(6)
            yield client

    async def end(self) -> int:
        """Wait for the container's end; return its exit code once nothing is left of it."""
        async with asyncio.timeout(30):
            code = await self.process.wait()
        assert processes_in(self.folder) == []
        return code


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of all processes that were started with a folder's environment."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.environ().get("FAKE_FOLDER") == str(folder):
                found.append(" ".join(each.cmdline()))
        except psutil.Error:
            continue  # it has ended, or is a zombie
    return found


type Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start containers with variables; kill what a failed test leaves."""
    vllm = tmp_path / "bin" / "vllm"
    vllm.parent.mkdir()
    fake = Path(__file__).with_name("fake_vllm.py")
    vllm.write_text(f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
    vllm.chmod(0o755)
    started: list[Container] = []

    async def run(**variables: str) -> Container:
        engine_port, bridge_port = free_port(), free_port()
        log = tmp_path / "log"
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "container.entrypoint", "serve"),
                env={
                    **inherited,
                    "PATH": f"{vllm.parent}:{os.environ['PATH']}",
                    "FAKE_FOLDER": str(tmp_path),
                    "ENTRYPOINT_ENGINE_PORT": str(engine_port),
                    "ENTRYPOINT_INSTANCE_TYPE": "ml.g6.xlarge",
                    "BRIDGE_PORT": str(bridge_port),
                    **variables,
                },
                stderr=output,
            )
        container = Container(process, tmp_path, f"http://127.0.0.1:{bridge_port}", log)
        started.append(container)
        return container

    yield run
    for container in started:
        if container.process.returncode is None:
            container.process.kill()
            await container.process.wait()
    for each in psutil.process_iter():
        try:
            if each.environ().get("FAKE_FOLDER") == str(tmp_path):
                each.kill()
        except psutil.Error:
            continue


async def test_bridge_starts_after_a_slow_engine_and_serves_calls(start: Start) -> None:
    container = await start(FAKE_START_S="2.5", SM_VLLM_DTYPE="auto", HF_MODEL_ID="org/model")
    await eventually(container.has_started_engine)
    await asyncio.sleep(0.5)
    assert await container.ping() == 0  # nothing listens while the model loads
    await container.ready()
    assert time.time() - container.record["at_s"] >= 2.5
    arguments = container.record["arguments"]
    assert arguments[:3] == ["serve", "org/model", "--host"]
    assert "--dtype auto" in " ".join(arguments)
    async with container.call() as client:
        await client.commit(final=True)
        deltas, _ = await client.until_done()
        assert len(deltas) == 23 - 6  # all words of one second
    container.process.send_signal(signal.SIGTERM)
    assert await container.end() == 0
    log = container.log.read_text()
    slugs = ["engine-starting", "engine-ready", "stopping on a signal"]
    assert sorted(slugs, key=log.index) == slugs


async def test_bridge_refuses_sessions_above_the_engines_number(start: Start) -> None:
    container = await start(SM_VLLM_MAX_NUM_SEQS="1")
    await container.ready()
    socket = f"{container.bridge_url}/invocations-bidirectional-stream"
    async with (
        container.call(),
        aiohttp.ClientSession() as client,
        client.ws_connect(socket) as further,
    ):
        assert (await further.receive()).type is aiohttp.WSMsgType.CLOSE
        assert further.close_code == 1013


async def test_sigterm_in_mid_call_closes_the_call_and_stops_both(start: Start) -> None:
    container = await start(BRIDGE_STOP_TIMEOUT_S="0.2")
    await container.ready()
    async with container.call() as client:
        container.process.send_signal(signal.SIGTERM)
        assert await client.closed() == 1012
    assert await container.end() == 0


async def test_sigterm_while_the_model_loads_stops_it(start: Start) -> None:
    container = await start(FAKE_START_S="60")
    await eventually(container.has_started_engine)
    container.process.send_signal(signal.SIGTERM)
    assert await container.end() == 0


async def test_killed_engine_ends_the_container_with_its_cause(start: Start) -> None:
    container = await start()
    await container.ready()
    async with container.call() as client:
        os.kill(container.record["pid"], signal.SIGKILL)
        assert await client.closed() in {1011, 1012}
    assert await container.end() == 128 + signal.SIGKILL
    assert "engine-ended it was killed by SIGKILL" in container.log.read_text()


async def test_killed_bridge_ends_the_container_with_its_cause(start: Start) -> None:
    container = await start()
    await container.ready()
    container.child("container.bridge").kill()
    assert await container.end() == 128 + signal.SIGKILL
    assert "bridge-ended it was killed by SIGKILL" in container.log.read_text()


async def test_engine_that_does_not_start_ends_the_container_with_its_code(start: Start) -> None:
    container = await start(FAKE_EXIT="3")
    assert await container.end() == 3
    assert "engine-ended it exited with 3" in container.log.read_text()


async def test_engine_that_ends_without_an_error_is_a_failure(start: Start) -> None:
    container = await start(FAKE_EXIT="0")
    assert await container.end() == 1


async def test_engine_that_is_never_ready_is_stopped(start: Start) -> None:
    container = await start(FAKE_START_S="60", ENTRYPOINT_START_TIMEOUT_S="1")
    assert await container.end() == 1
    assert "engine-late not ready after 1 s" in container.log.read_text()


async def test_engine_that_ignores_sigterm_is_killed_with_its_workers(start: Start) -> None:
    container = await start(FAKE_STUBBORN="1", ENTRYPOINT_STOP_TIMEOUT_S="2")
    await container.ready()
    began_s = time.monotonic()
    container.process.send_signal(signal.SIGTERM)
    assert await container.end() == 0
    assert time.monotonic() - began_s < 6
    assert "engine-killed" in container.log.read_text()


async def test_second_sigterm_kills_at_once(start: Start) -> None:
    container = await start(FAKE_STUBBORN="1", FAKE_START_S="60")
    await eventually(container.has_started_engine)
    began_s = time.monotonic()
    container.process.send_signal(signal.SIGTERM)
    await eventually(lambda: "stopping on a signal" in container.log.read_text())
    container.process.send_signal(signal.SIGTERM)
    assert await container.end() == 0
    assert time.monotonic() - began_s < 5


async def test_port_of_the_bridge_in_use_ends_the_container(start: Start) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        container = await start(BRIDGE_PORT=str(port))
        assert await container.end() == 2
    assert "bridge-ended it exited with 2" in container.log.read_text()


async def test_api_key_reaches_both_processes_and_no_command_line(start: Start) -> None:
    container = await start(SM_VLLM_API_KEY="s3cret")
    await container.ready()
    async with container.call():
        pass
    assert "s3cret" not in json.dumps(container.record)
    assert "s3cret" not in container.log.read_text()
    container.process.send_signal(signal.SIGTERM)
    assert await container.end() == 0


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ENTRYPOINT_PORT": "1"}, "unknown: ENTRYPOINT_PORT"),
        ({"SM_VLLM_MAX_MODEL_LEN": "18750"}, "SM_VLLM_MAX_MODEL_LEN: must be at least 22949"),
        ({"PATH": "/none"}, "can't run vllm: No such file or directory"),
        ({"PATH": "/none", "ENTRYPOINT_INSTANCE_TYPE": ""}, "nvidia-smi reports no GPU"),
    ],
)
async def test_unusable_configuration_is_reported_in_one_line_with_exit_2(
    start: Start, variables: dict[str, str], message: str
) -> None:
    container = await start(**variables)
    assert await container.end() == 2
    assert message in container.log.read_text().splitlines()[-1]


async def test_smallest_gpu_decides_the_number_of_sessions(start: Start, tmp_path: Path) -> None:
    nvidia_smi = tmp_path / "bin" / "nvidia-smi"
    nvidia_smi.write_text("#!/bin/sh\nprintf '81559\\n46068\\n'\n")
    nvidia_smi.chmod(0o755)
    container = await start(ENTRYPOINT_INSTANCE_TYPE="", FAKE_EXIT="3")
    assert await container.end() == 3
    assert "--max-num-seqs 24" in " ".join(container.record["arguments"])
    assert MODEL in container.record["arguments"]
