"""`./run mutate`: change the pure modules and list the changes that no test notices."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

_ROOT: Final = Path(__file__).resolve().parents[1]


def mutate(context: typer.Context) -> None:
    """Change the code, run its tests, list what none notices."""
    # The product must not import tests, so they run as a process.
    command = (sys.executable, "-m", "tests.mutation", *context.args)
    done = subprocess.run(command, cwd=_ROOT, check=False)  # noqa: S603 - ours
    raise typer.Exit(done.returncode)
