"""The entry point's search for a Python, without installing anything."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
OLD = "#!/bin/sh\nexit 1\n"
NO_PYTHON = "no Python 3.12 or newer found"


def interpreter(version: str) -> str:
    """A stand-in: answers the probe, and makes an environment whose pip says where it came from."""
    return f"""#!/bin/sh
case "$*" in
  *sys.version_info*) echo "{version} $0" ;;
  *flock*) exec {sys.executable} "$@" ;;
  "-m venv"*)
    mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo "version = {version}" >"$4/pyvenv.cfg" ;;
  "-m pip --version") [ -f "$(dirname "$0")/../pyvenv.cfg" ] ;;
  "-m pip install"*)
    echo "installing" >&2; sleep 0.2
    [ ! -e "$FAIL" ] || exit 1; touch "$(dirname "$0")/installed" ;;
  "-P -m cli"*) echo "{version} ran: $*" ;;
esac
"""


class Machine:
    """A folder with a copy of the project's entry point, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "a project"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for path in (self.project, self.bin, self.home):
            path.mkdir()
        for name in ("run", "pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, self.project / name)
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
        """Run it from elsewhere."""
        marker = self.home / "fail"
        marker.touch() if fail else marker.unlink(missing_ok=True)
        env = {"PATH": str(self.bin), "HOME": str(self.home), "FAIL": str(marker)}
        return subprocess.run(  # noqa: S603 (ours)
            (self.project / "run", *arguments),
            env=env, cwd=self.home, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


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
def test_which_python_it_takes(machine: Machine, programs: dict[str, str], chosen: str) -> None:
    for path, content in programs.items():
        machine.add(path, content if content.startswith("#!") else interpreter(content))
    done = machine.run("demo", "--inbound", "a b.wav")
    assert (done.returncode, done.stdout) == (
        0,
        f"{chosen} ran: -P -m cli demo --inbound a b.wav\n",
    )


def test_no_python_gives_one_clear_line(machine: Machine) -> None:
    machine.add("python3.13", SHIM)
    machine.add("python3", OLD)
    done = machine.run("--help")
    assert done.returncode == 2
    assert NO_PYTHON in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_installs_once(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    assert "installing" in machine.run("demo").stderr
    assert machine.run("demo").stderr == ""
    (machine.project / "requirements.lock").write_text("something==2\n")
    assert "installing" in machine.run("demo").stderr


def test_an_interrupted_installation_is_done_again(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    assert machine.run("demo", fail=True).returncode == 1
    done = machine.run("demo")
    assert "installing" in done.stderr
    assert done.stdout == "3.13 ran: -P -m cli demo\n"


def test_an_interpreter_that_went_away_is_replaced(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    machine.run("demo")
    (machine.project / ".venv/bin/python").unlink()
    (machine.bin / "python3.13").unlink()
    machine.add("python3.12", interpreter("3.12"))
    assert machine.run("demo").stdout == "3.12 ran: -P -m cli demo\n"


def test_two_at_once_install_once(machine: Machine) -> None:
    machine.add("python3.13", interpreter("3.13"))
    env = {"PATH": str(machine.bin), "HOME": str(machine.home), "FAIL": "/none"}
    both = [
        subprocess.Popen((machine.project / "run", "demo"), env=env, stderr=subprocess.PIPE)  # noqa: S603 (ours)
        for _ in range(2)
    ]
    said = [each.communicate(timeout=60)[1] for each in both]
    assert sum(b"installing" in each for each in said) == 1
    assert [each.returncode for each in both] == [0, 0]
