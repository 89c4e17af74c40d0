"""The npm packages of these tests, installed once into `.node/`."""

import fcntl
import functools
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from cli.contract import SCHEMAS

NODE: Final = shutil.which("node")

_LISTS: Final = Path(__file__).parent / "node"
_FOLDER: Final = SCHEMAS.parents[1] / ".node"
_TIMEOUT_S: Final = 60


def require(name: str) -> Path:
    """Return the folder of a package; skip the test if it can't be installed here."""
    if problem := _install():
        pytest.skip(problem)
    return _FOLDER / "node_modules" / name


@functools.cache
def _install() -> str:
    """Install the packages unless they are current; return why that is impossible, if it is."""
    npm = shutil.which("npm")
    if not NODE or not npm:
        return "Node.js or npm is not installed"
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes share the folder
        wanted = (_LISTS / "package-lock.json").read_text(encoding="utf-8")
        stamp = _FOLDER / "installed.json"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return ""
        for path in _LISTS.iterdir():
            shutil.copy(path, _FOLDER)
        command = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0")
        try:
            done = subprocess.run(  # noqa: S603 (a constant)
                command,
                cwd=_FOLDER,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"npm did not install the packages within {_TIMEOUT_S} s"
        if done.returncode:
            return f"npm can't install the packages: {done.stderr.strip().splitlines()[0]}"
        stamp.write_text(wanted, encoding="utf-8")
    return ""
