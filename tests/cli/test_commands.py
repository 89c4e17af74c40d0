"""What somebody sees who types a command: help, one clear line for a mistake, and a clean end."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest

from cli.__main__ import main

COMMANDS = (
    "demo",
    "up",
    "call",
    "tail",
    "transcribe",
    "bench",
    "soak",
    "simulate",
    "test",
    "check",
)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command as typed, in an environment without settings; gives code, stdout, stderr."""
    for name in [name for name in os.environ if name.startswith(("GATEWAY_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["run", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return command


type Run = Callable[..., tuple[int, str, str]]


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in COMMANDS:
        assert f"  {name} " in out
    assert "..." not in out.partition("Commands:")[2]  # each fits its line


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"./run {command}" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("demo --inbound none.wav", "cannot read none.wav: No such file or directory"),
        ("call --outbound none.wav", "cannot read none.wav: No such file or directory"),
        ("call --url ws://127.0.0.1:1", "cannot reach ws://127.0.0.1:1: Connect"),
        ("call --carrier genesys --url ws://127.0.0.1:1", "cannot reach ws://127.0.0.1:1: Connect"),
        ("call --carrier genesys --url ws://h/media/twilio", "no media socket of genesys's"),
        ("call --url gopher://h", "--url must be ws://host[:port] or wss://host[:port]"),
        ("call --url ws://127.0.0.1:99999", "--url must be ws://host[:port] or wss://host[:port]"),
        ("demo --redis-url redis://127.0.0.1:1", "no Redis answers at 127.0.0.1:1"),
        ("tail --redis-url redis://127.0.0.1:1", "no Redis answers at 127.0.0.1:1"),
        ("transcribe none.wav --realtime-url ws://h", "cannot read none.wav"),
        ("transcribe {wav}", "say either --endpoint NAME or --realtime-url ws://..."),
        ("transcribe {wav} --realtime-url ws://127.0.0.1:1/v1/realtime", "connect-refused"),
        ("transcribe {wav} --realtime-url nonsense", "the Realtime URL must be ws://"),
        ("transcribe {wav} --endpoint e --endpoint-url https://127.0.0.1:1 --region r",
         "e: no-credentials"),
        ("transcribe {wav} --endpoint e --endpoint-url nonsense --region r", "begin with https"),
        ("transcribe {wav} --endpoint e --region r --ca-file none.pem", "CA file can't be read"),
        ("transcribe {wav} --endpoint e --region r --ca-file {wav}", "the CA file is no PEM"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(run: Run, arguments: str, line: str, tmp_path: Path) -> None:
    wav = tmp_path / "short.wav"
    wav.write_bytes(
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\2\0\0\0\0\0"
    )
    code, _, err = run(*(each.format(wav=wav) for each in arguments.split()))
    assert code == 2
    assert err.startswith("run: ")
    assert line in err
    assert err.count("\n") == 1


def test_a_port_in_use_is_named(run: Run) -> None:
    """Whoever has it: this test, or a stack that a developer keeps running."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            pass
        code, _, err = run("up")
    assert code == 2
    assert "ports in use: " in err
    assert "gateway (8000)" in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_end_is_clean(redis_url: str, how: signal.Signals) -> None:
    command = sys.executable, "-P", "-m", "cli", "tail", "--redis-url", redis_url
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:  # noqa: S603 (ours)
        seen = psutil.Process(process.pid)
        port = int(redis_url.rpartition(":")[2])
        while not any(c.raddr and c.raddr.port == port for c in seen.net_connections()):
            assert process.poll() is None
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert err in (b"", b"Following calls; Ctrl-C ends.\n")  # however far it had come
