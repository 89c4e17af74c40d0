"""Packages of npm that tests use, installed once into a git-ignored folder."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_CACHE: Final = Path(__file__).resolve().parents[1] / ".npm"  # no folder that other tests search
_TIMEOUT_S: Final = 60  # below the limit of a test
_OPTIONS: Final = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0")


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
    try:
        subprocess.run(  # noqa: S603 - arguments of the tests
            (npm, "install", *_OPTIONS, "--prefix", str(folder), f"{name}@{version}"),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm can't install {name}: {error.stderr.strip()[:200]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {name} within {_TIMEOUT_S} s")
    return package
