"""`python -m gateway --check`: the line of each check, and exit codes."""

import asyncio
import os
import pty
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.check import run_checks
from tests.container.cpu.dialogue import checksum_engine
from tests.e2e.test_broken_upstream import WITHOUT_CREDENTIALS
from tests.redis_servers import free_port, valkey

TELNYX_SECRET = "hush-0123456789abcdef"

type Lines = dict[str, tuple[bool, str]]


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> pytest.MonkeyPatch:
    """Settings of a gateway whose WebSocket server does not exist; without a `.env` file."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    settings = {
        "GATEWAY_PUBLIC_URL": "https://gw.example.com",
        "GATEWAY_UPSTREAM": "websocket",
        "GATEWAY_REALTIME_URL": f"ws://127.0.0.1:{free_port()}/v1/realtime",
        "GATEWAY_REDIS_URL": f"redis://:hush-password@127.0.0.1:{free_port()}",
        "GATEWAY_TELNYX_SECRET": TELNYX_SECRET,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, Lines]:
    """Run the checks; return the exit code, and each check's result and text."""
    code = await run_checks()
    output = capsys.readouterr().out
    assert "hush" not in output
    lines: Lines = {}
    for line in output.splitlines():
        assert line[:4].strip() in {"ok", "fail"}
        name, _, text = line[5:].partition("  ")
        lines[name] = line.startswith("ok"), text
    return code, lines


async def test_all_checks_pass(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    async with checksum_engine() as url:
        environment.setenv("GATEWAY_REALTIME_URL", url.replace("http", "ws", 1))
        environment.setenv("GATEWAY_REDIS_URL", redis_url)
        code, lines = await checked(capsys)
    assert code == 0
    assert all(ok for ok, _ in lines.values())
    [model] = [name for name in lines if name.startswith("model ")]
    assert list(lines) == ["settings", "carriers", "public-url", "redis", model]
    assert "open: telnyx" in lines["carriers"][1]
    assert "wss://gw.example.com/media/<carrier>" in lines["public-url"][1]
    assert "accepts writes" in lines["redis"][1]
    assert "1 s of silence transcribed" in lines[model][1]


@pytest.mark.parametrize(
    ("dialect", "model", "path"),
    [
        ("mistral", "m", ""),
        ("deepgram", "nova-3", ""),
        ("openai", "m", "/v1/realtime"),
        ("qwen3-asr", "m", "/v1/realtime"),
    ],
)
async def test_servers_of_other_dialects(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dialect: str,
    model: str,
    path: str,
) -> None:
    environment.setenv("GATEWAY_DIALECT", dialect)
    environment.setenv("GATEWAY_MODEL", model)
    async with checksum_engine(served_model_name="m") as url:
        base = url.replace("http", "ws", 1).removesuffix("/v1/realtime")
        environment.setenv("GATEWAY_REALTIME_URL", base + path)
        _, lines = await checked(capsys)
    [(passed, text)] = [line for name, line in lines.items() if name.startswith("model ")]
    assert passed, text


async def test_secrets_folder_is_read(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    environment.delenv("GATEWAY_TELNYX_SECRET")
    environment.setenv("GATEWAY_SECRETS_DIR", str(tmp_path))
    (tmp_path / "GATEWAY_PLIVO_AUTH_TOKEN").write_text("hush")
    (tmp_path / "GATEWAY_PLIVO_DIAL").write_text("+15550001111")
    _, lines = await checked(capsys)
    assert lines["settings"][0]
    assert lines["carriers"][1].strip() == "open: plivo"
    environment.setenv("GATEWAY_SECRETS_DIR", str(tmp_path / "nowhere"))
    _, lines = await checked(capsys)
    assert "the folder of secrets can't be read" in lines["settings"][1]


async def test_every_check_runs_after_failures(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("GATEWAY_LEASE_S", "0")
    environment.setenv("GATEWAY_MAXCALLS", "1")
    environment.setenv("GATEWAY_PUBLIC_URL", "http://gw.example.com")
    environment.setenv("GATEWAY_TELNYX_SECRET", "hush")
    code, lines = await checked(capsys)
    assert code == 1
    assert [name.split()[0] for name in lines] == [
        "settings",
        "carriers",
        "public-url",
        "redis",
        "model",
    ]
    assert not any(ok for ok, _ in lines.values())
    settings = lines["settings"][1]
    assert "GATEWAY_LEASE_S: must be more than 0" in settings
    assert "GATEWAY_MAXCALLS (did you mean GATEWAY_MAX_CALLS?)" in settings
    assert "GATEWAY_TELNYX_SECRET: must have at least 16 characters" in settings
    assert "must be https" in lines["public-url"][1]
    [(_, model)] = [line for name, line in lines.items() if name.startswith("model")]
    assert "connect-refused" in model
    assert "Nothing listens there" in model


async def test_redis_is_checked_without_any_setting(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        environment.delenv(name)
    environment.setenv("GATEWAY_REDIS_URL", redis_url)
    code, lines = await checked(capsys)
    assert code == 1
    assert lines["redis"][0]
    assert "GATEWAY_PUBLIC_URL: must be set" in lines["settings"][1]
    assert "needs GATEWAY_SAGEMAKER_ENDPOINT" in lines["settings"][1]
    assert "all are closed" in lines["carriers"][1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_UPSTREAM", "pigeon"),
        ("GATEWAY_UPSTREAM", "sagemaker"),
        ("GATEWAY_ID", "x" * 200),
        ("GATEWAY_PUBLIC_URL", "gw"),
        ("GATEWAY_REALTIME_URL", "http://m"),
        ("GATEWAY_ROUTES_FILE", "/nonexistent"),
        ("GATEWAY_ADMIN_TOKENS", "hush"),
        ("GATEWAY_REDIS_URL", "hush://hush"),
        ("GATEWAY_GENESYS_API_KEYS", "hush"),
    ],
)
async def test_invalid_setting_does_not_prevent_other_checks(
    name: str,
    value: str,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.setenv(name, value)
    code, lines = await checked(capsys)
    assert code == 1
    assert list(lines)[:4] == ["settings", "carriers", "public-url", "redis"]
    assert any(line.startswith("model") for line in lines)
    if name != "GATEWAY_REDIS_URL":
        assert not lines["settings"][0]


async def test_missing_credentials_are_reported(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    for name, value in WITHOUT_CREDENTIALS.items():
        environment.setenv(name, value)
    environment.setenv("GATEWAY_REDIS_URL", redis_url)
    code, lines = await checked(capsys)
    assert code == 1
    for name in ("credentials", "model callscribe"):
        ok, text = lines[name]
        assert not ok
        assert "no-credentials" in text
        assert "AWS_ACCESS_KEY_ID" in text


async def test_redis_that_refuses_writes_fails(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with valkey(maxmemory="100kb") as url:  # less than an empty server needs
        environment.setenv("GATEWAY_REDIS_URL", url)
        _, lines = await checked(capsys)
    ok, text = lines["redis"]
    assert not ok
    assert "redis-unavailable" in text


async def test_unresponsive_model_times_out(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # no one accepts connections
        port = server.getsockname()[1]
        environment.setenv("GATEWAY_REALTIME_URL", f"ws://127.0.0.1:{port}/v1/realtime")
        environment.setenv("GATEWAY_OPEN_TIMEOUT_S", "0.2")
        _, lines = await checked(capsys)
    [(ok, text)] = [line for name, line in lines.items() if name.startswith("model")]
    assert not ok
    assert "timeout" in text


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://gw.example.com/prefix", None),
        ("http://127.0.0.1:8000", None),
        ("http://10.1.2.3:8000", None),
        ("http://asterisk-gw:8000", None),
        ("http://gw.example.com", "must be https"),
        ("http://8.8.8.8", "must be https"),
        ("https://user:hush-x@gw.example.com", "see settings"),
        ("https://gw.example.com/voice/twilio", "must end before"),
        ("https://gw.example.com/media/telnyx", "must end before"),
    ],
)
async def test_public_url_is_checked(
    url: str,
    problem: str | None,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.setenv("GATEWAY_PUBLIC_URL", url)
    _, lines = await checked(capsys)
    ok, text = lines["public-url"]
    assert ok is (problem is None)
    assert (problem or "") in text


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


async def test_terminal_output_has_marks(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PYTHONIOENCODING", "utf-8")
    with terminal() as (ours, theirs):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "--check", stdout=theirs
        )
        assert await process.wait() == 1
        shown = os.read(ours, 65_536).decode()
    assert "✓ settings" in shown
    assert "✗ redis" in shown
