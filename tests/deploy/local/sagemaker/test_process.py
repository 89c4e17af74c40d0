"""The endpoint and the bridge as processes: startup errors, settings and SIGTERM."""

import asyncio
import os
import signal
import socket
import sys

import pytest

SETTINGS = {
    "deploy.local.sagemaker": {
        "ENDPOINT_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "ENDPOINT_SECRET_ACCESS_KEY": "canary-secret",
        "ENDPOINT_PORT": "0",
    },
    "container.bridge": {"BRIDGE_PORT": "0"},
}
PREFIX = {"deploy.local.sagemaker": "ENDPOINT", "container.bridge": "BRIDGE"}
MODULES = list(SETTINGS)


async def start(module: str, **changed: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        env=dict(os.environ) | SETTINGS[module] | changed,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(30):
        stdout, stderr = await process.communicate()
    return process.returncode, (stdout + stderr).decode()


@pytest.mark.parametrize("module", MODULES)
async def test_serves_until_sigterm(module: str) -> None:
    process = await start(module)
    assert process.stderr
    async with asyncio.timeout(30):
        line = await process.stderr.readline()
    assert b"listening" in line
    process.send_signal(signal.SIGTERM)
    code, output = await outcome(process)
    assert code == 0
    assert "canary-secret" not in line.decode() + output


@pytest.mark.parametrize("module", MODULES)
async def test_a_port_in_use_is_reported_in_one_line_with_exit_2(module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output = await outcome(await start(module, **{f"{PREFIX[module]}_PORT": port}))
    assert code == 2
    assert output.count("\n") == 1
    assert f":{port}: " in output


@pytest.mark.parametrize("module", MODULES)
async def test_an_invalid_setting_is_reported_in_one_line_with_exit_2(module: str) -> None:
    setting = f"{PREFIX[module]}_PORT"
    code, output = await outcome(await start(module, **{setting: "canary-value"}))
    assert code == 2
    assert output.count("\n") == 1
    assert setting in output
    assert "canary" not in output
