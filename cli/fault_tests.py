"""`./run simulate`, `faults` and `mutate`: tests that take longer than the suite."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.upstream.dialects.registry import DialectName

_ROOT: Final = Path(__file__).resolve().parents[1]
# BLAS threads cost more time than they save when several processes run.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1"}
# A seed must produce the same run in every process.
_SEEDED: Final = {"PYTHONHASHSEED": "0"}
_PROCESSORS: Final = os.cpu_count() or 1

Seeds = Annotated[int, typer.Option(min=1, help="Number of simulated runs.")]
First = Annotated[int, typer.Option(min=0, help="Seed of the first run; each run adds 1.")]
Jobs = Annotated[int, typer.Option(min=1, help="Number of processes.")]
Dialect = Annotated[DialectName, typer.Option(help="Dialect of the simulated endpoints.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print everything that happens.")]


def simulate(
    seeds: Seeds = 1000,
    first: First = 0,
    jobs: Jobs = _PROCESSORS,
    dialect: Dialect = DialectName.VOXTRAL,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Simulate calls in virtual time while peers fail at random."""
    arguments = [f"--seeds={seeds}", f"--first={first}", f"--jobs={jobs}"]
    arguments.append(f"--dialect={dialect}")
    arguments += [*["--json"] * json, *["--verbose"] * verbose]
    _run("tests.simulation", arguments, _SEEDED)


def faults(context: typer.Context) -> None:
    """Play calls in real time while each link fails in each way."""
    _run("tests.faults", context.args, {})


def mutate(context: typer.Context) -> None:
    """Change the code, run its tests, list what none notices."""
    _run("tests.mutation", context.args, {})


def _run(module: str, arguments: list[str], environment: Mapping[str, str]) -> None:
    """Run a module of the tests, which production code must not import, and exit like it."""
    done = subprocess.run(  # noqa: S603 (a module of this repository)
        [sys.executable, "-m", module, *arguments],
        cwd=_ROOT,
        env={**os.environ, **_ENVIRONMENT, **environment},
        check=False,
    )
    raise typer.Exit(done.returncode)
