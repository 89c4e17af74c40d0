"""`python -m container.cpu` as an operator meets it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping

import pytest

from container.cpu.settings import Settings, SettingsError, load
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


async def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = await outcome(await start({"ENGINE_PORT": str(port)}))
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in errors
    assert errors.count("\n") == 1


async def test_an_unknown_setting_is_one_line_and_exit_2() -> None:
    code, errors = await outcome(await start({"ENGINE_PROT": "1"}))
    assert (code, errors) == (2, "container.cpu: settings: unknown: ENGINE_PROT\n")


async def test_sigterm_tells_clients_to_come_back_and_exits_0() -> None:
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


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ENGINE_PORT", "x", "ENGINE_PORT: Input should be a valid integer"),
        ("ENGINE_PORT", "65536", "ENGINE_PORT: "),
        ("ENGINE_MODEL", "whisper", "ENGINE_MODEL: "),
        ("ENGINE_MAX_NUM_SEQS", "0", "ENGINE_MAX_NUM_SEQS: "),
        ("ENGINE_MAX_MODEL_LEN", "39", "ENGINE_MAX_MODEL_LEN: must be at least 40"),
        ("ENGINE_DELAY_MS", "100", "ENGINE_DELAY_MS: "),
        ("ENGINE_API_KEY", "", "ENGINE_API_KEY: "),
        ("ENGINE_TYPO", "1", "unknown: ENGINE_TYPO"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load()
    assert str(raised.value).startswith(complaint)


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_key_is_not_in_the_repr() -> None:
    assert "hush" not in repr(Settings(api_key="hush"))
