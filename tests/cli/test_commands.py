"""Commands as users run them: help, errors in one line, and a clean end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest
import redis

from cli.__main__ import main
from deploy.local import stack as local
from tests.cli.audio.files import wav
from tests.docs.blocks import documented
from tests.workers.client.stories import fields

COMMANDS = (
    "demo",
    "up",
    "call",
    "tail",
    "link",
    "wrapup",
    "dead-letters",
    "rules",
    "export",
    "archive",
    "push",
    "search",
    "govern",
    "transcribe",
    "compare",
    "conform",
    "bench",
    "soak",
    "simulate",
    "test",
    "check",
    "fix",
    "capacity",
    "lock",
    "sbom",
    "licences",
    "audit",
    "release",
)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in an environment without settings; return code, stdout and stderr."""
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
    assert "..." not in out.partition("Commands:")[2]  # no summary is cut off


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
        ("call --carrier genesys --url ws://h/media/twilio", "not a media socket of genesys"),
        ("call --url gopher://h", "--url must be ws://host[:port] or wss://host[:port]"),
        ("call --url ws://127.0.0.1:99999", "--url must be ws://host[:port] or wss://host[:port]"),
        ("demo --redis-url redis://127.0.0.1:1", "no Redis answers at 127.0.0.1:1"),
        ("tail --redis-url redis://127.0.0.1:1", "no Redis answers at 127.0.0.1:1"),
        ("transcribe none.wav --realtime-url ws://h", "cannot read none.wav"),
        ("compare voxtral --recording {wav}", "nor DIALECT,URL"),
        ("compare other,ws://h --recording {wav}", "nor DIALECT,URL"),
        ("compare voxtral,ws://h --recording none.wav --reference none", "cannot read none"),
        ("transcribe {wav}", "pass either --endpoint NAME or --realtime-url ws://..."),
        ("transcribe {wav} --realtime-url ws://127.0.0.1:1/v1/realtime", "connect-refused"),
        ("transcribe {wav} --realtime-url nonsense", "the Realtime URL must be ws://"),
        ("transcribe {wav} --endpoint e --endpoint-url https://127.0.0.1:1 --region r",
         "e: no-credentials"),
        ("transcribe {wav} --endpoint e --endpoint-url nonsense --region r", "begin with https"),
        ("transcribe {wav} --endpoint e --region r --ca-file none.pem", "CA file can't be read"),
        ("transcribe {wav} --endpoint e --region r --ca-file {wav}", "CA file is not valid PEM"),
    ],
)  # fmt: skip
def test_user_error_is_reported_in_one_line(
    run: Run, arguments: str, line: str, tmp_path: Path
) -> None:
    wav = tmp_path / "short.wav"
    wav.write_bytes(
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\2\0\0\0\0\0"
    )
    code, _, err = run(*(each.format(wav=wav) for each in arguments.split()))
    assert code == 2
    assert err.startswith("run: ")
    assert line in err
    assert err.count("\n") == 1


def test_files_without_audio_end_with_code_2(run: Run, tmp_path: Path) -> None:
    """Symptom: `no words` and code 0 for an empty recording."""
    path = tmp_path / "empty.wav"
    path.write_bytes(wav(b"", bits=16))
    for command in (
        "transcribe --realtime-url ws://127.0.0.1:1",
        "call --inbound",
        "demo --inbound",
    ):
        code, out, err = run(*command.split(), str(path))
        assert (code, out, err) == (2, "", f"run: cannot use {path}: it holds no audio\n")


def test_unreachable_local_gateway_suggests_run_up(run: Run) -> None:
    port = local.Ports.free().gateway
    code, _, err = run("call", "--url", f"ws://127.0.0.1:{port}")
    assert code == 2
    assert "./run up" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_tail_with_code_130(redis_url: str, how: signal.Signals) -> None:
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
    assert err in (b"", b"Following calls; Ctrl-C ends.\n")  # depending on when it was interrupted


@contextmanager
def up(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run `./run up` with a folder for temporary files; yield its lines by their first word."""
    printed: dict[str, str] = {}
    command = sys.executable, "-P", "-m", "cli", *documented("docs/local.md", "./run up")
    with subprocess.Popen(  # noqa: S603 (ours)
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)}
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                name, _, rest = line.strip().partition(" ")
                printed[name] = printed.get(name, "") + rest
                if "--endpoint-url" in line:
                    break
            yield process, printed
        finally:
            process.kill()


def test_up_uses_free_ports_and_prints_them(tmp_path: Path) -> None:
    """Symptom: `ports in use: gateway (8000)` and no start, while another program used the port."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # another process already uses the port
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        with up(tmp_path) as (process, printed):
            port = urlsplit(printed["gateway"].split()[0]).port
            assert port != 8000
            assert f"8000 is in use: the gateway listens on {port}." in printed["Port"]
            assert f"call --url ws://127.0.0.1:{port}" in printed["./run"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_second_interrupt_kills_processes_and_leaves_no_files(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Symptom: after two Ctrl-C, the folder with the processes' logs remained."""
    with up(tmp_path) as (process, _):
        parts = psutil.Process(process.pid).children(recursive=True)
        assert len(parts) >= 5
        for part in parts:
            part.suspend()  # so that none reacts to SIGTERM
        while process.poll() is None:
            process.send_signal(how)
            time.sleep(0.1)
        assert process.returncode in (130, -how)  # the latter if it was about to exit
    assert list(tmp_path.iterdir()) == []
    assert all(has_ended(part) for part in parts)


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, even if it has not been reaped."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_sighup_is_ignored_under_nohup(redis_url: str) -> None:
    """Symptom to prevent: `nohup ./run tail &` ends when the terminal is closed."""
    command = "nohup", sys.executable, "-P", "-m", "cli", "tail", "--redis-url", redis_url
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:  # noqa: S603 (ours)
        assert process.stderr is not None
        while b"Following" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130


def test_tail_follows_a_call_with_a_longer_id(run: Run, redis_url: str) -> None:
    call = "default.talkdesk.CA1"  # in the partition of CA1
    about: Any = {"status": "completed", "reason": "", "duration_ms": 1, "gap_ms": 0}
    with redis.Redis.from_url(redis_url) as client:
        for kind, n, own in (("stream.started", 1, {}), ("stream.ended", 2, about)):
            event: Any = fields(kind, n, call=call, **own)
            client.xadd(f"cs:{{p53}}:call:{call}", event)
    code, out, _ = run("tail", call, "--json", "--redis-url", redis_url)
    assert (code, out.count(call)) == (0, 2)


def test_tail_reports_that_it_waits_for_the_call(redis_url: str) -> None:
    """Symptom: no output, as if the call existed and had no speech."""
    command = sys.executable, "-P", "-m", "cli", "tail", "CA-none", "--redis-url", redis_url
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 (ours)
        assert process.stderr is not None
        printed = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert printed[0].startswith("Following call CA-none")
    assert "waiting for it" in printed[1]
