"""The entry point `run`: how it finds Python and installs, without a real installation."""

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest

ROOT = Path(__file__).resolve().parents[1]

SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
OLD = "#!/bin/sh\nexit 1\n"
NO_PYTHON = "no Python 3.12 or newer found"


def interpreter(version: str) -> str:
    """Return a fake interpreter: it answers the version probe and creates environments."""
    return f"""#!/bin/sh
case "$*" in
  *sys.version_info*) echo "{version} $0" ;;
  *flock*) exec {sys.executable} "$@" ;;
  "-m venv"*)
    mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo "version = {version}" >"$4/pyvenv.cfg" ;;
  "-m pip --version") [ -f "$(dirname "$0")/../pyvenv.cfg" ] ;;
  "-m pip install"*)
    echo "$*" >>"$(dirname "$0")/asked"; touch "$TMPDIR/half"
    for n in 1 2 3 4 5 6 7 8 9; do echo "Collecting package$n"; echo "  Downloading it"; done
    while [ -e "$HANG" ]; do sleep 0.1; done
    sleep 0.2
    [ ! -e "$FAIL" ] || exit 1; touch "$(dirname "$0")/installed" ;;
  "-P -m cli"*) echo "{version} ran: $*" ;;
esac
"""


class Machine:
    """A folder with a copy of the project's entry point, and a separate PATH."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "a project"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for path in (self.project, self.bin, self.home):
            path.mkdir()
        for name in ("run", "pyproject.toml"):
            shutil.copy(ROOT / name, self.project / name)
        shutil.copytree(ROOT / "requirements", self.project / "requirements")
        for tool in (
            "bash",
            "dirname",
            "sort",
            "cksum",
            "cat",
            "rm",
            "mkdir",
            "cp",
            "touch",
            "sleep",
        ):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def add(self, path: str, content: str) -> None:
        """Put a program on PATH (a bare name) or below the home folder."""
        file = self.home / path if "/" in path else self.bin / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755)

    def run(self, *arguments: str, fail: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the entry point from another folder."""
        marker = self.home / "fail"
        marker.touch() if fail else marker.unlink(missing_ok=True)
        return subprocess.run(  # noqa: S603 (ours)
            (self.project / "run", *arguments),
            env=self.env(FAIL=str(marker)), cwd=self.home, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment that it runs in."""
        return {"PATH": str(self.bin), "HOME": str(self.home), "TMPDIR": str(self.home), **more}

    def asked(self) -> list[str]:
        """Return the extras that pip installed, one entry per installation."""
        lines = (self.project / ".venv/bin/asked").read_text().splitlines()
        return re.findall(r"requirements/(\w+)\.txt", "\n".join(lines))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("programs", "chosen"),
    [
        ({"python3.13": "3.13"}, "3.13"),
        ({"python3.12": "3.12"}, "3.12"),
        ({"python3": "3.14"}, "3.14"),
        ({"python3.12": "3.12", "python3": "3.13"}, "3.13"),
        ({"python3.13": SHIM, "python3": OLD, "python3.12": "3.12"}, "3.12"),
        ({"python3.13": SHIM, ".pyenv/versions/3.13.0/bin/python": "3.13"}, "3.13"),
        (
            {
                ".pyenv/versions/3.9.18/bin/python": OLD,
                ".pyenv/versions/3.12.1/bin/python": "3.12",
                ".pyenv/versions/3.13.0/bin/python": "3.13",
            },
            "3.13",
        ),
    ],
)
def test_newest_suitable_python_is_chosen(
    machine: Machine, programs: dict[str, str], chosen: str
) -> None:
    for path, content in programs.items():
        machine.add(path, content if content.startswith("#!") else interpreter(content))
    done = machine.run("demo", "--inbound", "a b.wav")
    assert (done.returncode, done.stdout) == (
        0,
        f"{chosen} ran: -P -m cli demo --inbound a b.wav\n",
    )


def test_missing_python_is_reported_in_one_line(machine: Machine) -> None:
    machine.add("python3.13", SHIM)
    machine.add("python3", OLD)
    done = machine.run("--help")
    assert done.returncode == 2
    assert NO_PYTHON in done.stderr
    assert done.stderr.count("\n") == 1


def test_installs_once(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    assert "installing" in machine.run("demo").stderr
    assert machine.run("demo").stderr == ""
    (machine.project / "requirements/local.txt").write_text("something==2\n")
    assert "installing" in machine.run("demo").stderr


def test_interrupted_installation_is_repeated(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    assert machine.run("demo", fail=True).returncode == 1
    done = machine.run("demo")
    assert "installing" in done.stderr
    assert done.stdout == "3.13 ran: -P -m cli demo\n"


def test_missing_interpreter_is_replaced(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    machine.run("demo")
    (machine.project / ".venv/bin/python").unlink()
    (machine.bin / "python3.13").unlink()
    machine.add("python3.12", interpreter("3.12"))
    assert machine.run("demo").stdout == "3.12 ran: -P -m cli demo\n"


def test_concurrent_runs_install_once(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    both = [
        subprocess.Popen(  # noqa: S603 (ours)
            (machine.project / "run", "demo"), env=machine.env(), stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=60)[1] for each in both]
    assert sum(b"installing" in each for each in said) == 1
    assert [each.returncode for each in both] == [0, 0]


def test_pipe_receives_two_lines(machine: Machine) -> None:
    """Symptom: 96 packages scrolled by before the demo began."""
    machine.add("python3.13", interpreter("3.13"))
    lines = machine.run("demo").stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("run: installing into .venv what ./run demo needs")
    assert lines[1].startswith("run: done in ")


def test_a_terminal_shows_one_line_of_progress(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    ours, theirs = pty.openpty()
    command = (machine.project / "run", "demo")
    with subprocess.Popen(command, env=machine.env(), stdout=theirs, stderr=theirs) as process:  # noqa: S603 (ours)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:
            while part := terminal.read(4096):  # raises when the other end is closed
                shown += part
        assert process.wait(60) == 0
    assert b"fetching package 9: package9" in shown
    assert shown.count(b"\n") == 3  # the two lines, and the output of the command
    assert all(len(line) <= 90 for line in shown.split(b"\r"))


def test_each_command_installs_what_it_needs(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    machine.run("demo")
    machine.run("up")
    assert machine.asked() == ["local"]
    machine.run("check")
    machine.run("test", "-x")
    machine.run("demo")
    assert machine.asked() == ["local", "dev"]


def test_failure_shows_the_last_lines_and_the_log_path(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    done = machine.run("demo", fail=True)
    log = machine.project / ".venv/install.log"
    assert done.returncode == 1
    assert "Collecting package9" in done.stderr
    assert "package1" not in done.stderr
    assert f"all it said is in {log}" in done.stderr
    assert "package1" in log.read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_pip_and_cleans_up(machine: Machine, how: signal.Signals) -> None:
    machine.add("python3.13", interpreter("3.13"))
    hang = machine.home / "hang"
    hang.touch()
    command = (machine.project / "run", "demo")
    env = machine.env(HANG=str(hang))
    half = machine.project / ".venv/.tmp/half"
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as process:  # noqa: S603 (ours)
        while not half.exists():
            assert process.poll() is None
            time.sleep(0.01)
        children = psutil.Process(process.pid).children()
        process.send_signal(how)
        assert process.wait(30) == 130
    assert not half.parent.exists()
    assert not any(child.is_running() for child in children)
    assert [path.name for path in machine.home.iterdir()] == ["hang"]
    hang.unlink()
    assert machine.run("demo").returncode == 0
