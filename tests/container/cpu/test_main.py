"""`python -m container.cpu` as a process: startup errors, settings and SIGTERM."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping

import pytest

from common.settings import SettingsError, load
from container.cpu.settings import Settings
from tests.container.cpu.dialogue import dialogue

OTHERS = {name: value for name, value in os.environ.items() if not name.startswith("ENGINE_")}


async def start(settings: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "container.cpu",
        env={**OTHERS, "ENGINE_MODEL": "checksum", **settings},
        stderr=asyncio.subprocess.PIPE,
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_a_port_in_use_is_reported_in_one_line_with_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = await outcome(await start({"ENGINE_PORT": str(port)}))
    assert code == 2
    assert f"can't listen on 127.0.0.1:{port}" in errors
    assert errors.count("\n") == 1


async def test_an_unknown_setting_is_reported_in_one_line_with_exit_2() -> None:
    code, errors = await outcome(await start({"ENGINE_PROT": "1"}))
    hint = "(did you mean ENGINE_PORT?)"
    assert (code, errors) == (2, f"container.cpu: unknown: ENGINE_PROT {hint}\n")


async def test_sigterm_closes_connections_with_1012_and_exits_0() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = await start({"ENGINE_PORT": str(port)})
    assert process.stderr is not None
    async with asyncio.timeout(30):
        assert b"listening on" in await process.stderr.readline()
        async with dialogue(f"http://127.0.0.1:{port}/v1/realtime") as client:
            process.send_signal(signal.SIGTERM)
            assert await client.closed() == 1012
    assert (await outcome(process))[0] == 0


def test_a_context_too_short_for_any_audio_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_MAX_MODEL_LEN", "39")
    with pytest.raises(SettingsError, match=r"^ENGINE_MAX_MODEL_LEN: must be at least 40"):
        load(Settings)
