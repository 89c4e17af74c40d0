"""`./run simulate`: the gateways' logic in virtual time, among peers that fail as a seed has it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

_ROOT: Final = Path(__file__).resolve().parents[1]
# A seed must mean the same in every process, and numpy's threads cost more than they bring.
_ENVIRONMENT: Final = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}

_PROCESSORS: Final = os.cpu_count() or 1

Seeds = Annotated[int, typer.Option(min=1, help="How many worlds to live through.")]
First = Annotated[int, typer.Option(min=0, help="The first one's seed.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes at once.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show all that happens.")]


def simulate(
    seeds: Seeds = 1000,
    first: First = 0,
    jobs: Jobs = _PROCESSORS,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Simulate calls whose peers fail, by the thousand."""
    # The simulation is part of the tests, which nothing imports.
    command = [sys.executable, "-m", "tests.simulation", f"--seeds={seeds}", f"--first={first}"]
    command += [f"--jobs={jobs}", *["--json"] * json, *["--verbose"] * verbose]
    done = subprocess.run(  # noqa: S603 - our own module, with numbers
        command, cwd=_ROOT, env=os.environ | _ENVIRONMENT, check=False
    )
    raise typer.Exit(done.returncode)
