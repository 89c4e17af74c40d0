"""`./run faults`: every fault on every link at every moment, in real time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

_ROOT: Final = Path(__file__).resolve().parents[1]


def faults(context: typer.Context) -> None:
    """Break every link in every way, in real time."""
    # The faults are part of the tests, which nothing imports.
    command = [sys.executable, "-m", "tests.faults", *context.args]
    environment = os.environ | {
        "OPENBLAS_NUM_THREADS": "1"
    }  # more threads cost more than they give
    done = subprocess.run(command, cwd=_ROOT, env=environment, check=False)  # noqa: S603 - ours
    raise typer.Exit(done.returncode)
