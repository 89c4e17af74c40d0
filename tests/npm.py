"""Packages of npm that tests use, installed once into a git-ignored folder."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_CACHE: Final = Path(__file__).with_name(".npm")
_TIMEOUT_S: Final = 120


@functools.cache
def installed(name: str, version: str) -> Path:
    """Return the folder of a package; skip the test if it can't be installed."""
    folder = _CACHE / f"{name}-{version}"
    package = folder / "node_modules" / name
    if (package / "package.json").exists():
        return package
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    done = subprocess.run(  # noqa: S603 - arguments of the tests
        (npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", f"{name}@{version}"),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm can't install {name}: {done.stderr.strip()[-200:]}")
    return package
