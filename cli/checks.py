"""`./run test` and `./run check`: what a change must pass. `./run fix`: what a tool can correct."""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final

import typer

from cli import chart_schema, contract, settings_page

PASS_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True}

_ROOT: Final = Path(__file__).resolve().parents[1]
_BIN: Final = Path(sys.executable).parent
# One more than cores: half of the suite's time is spent waiting for sockets and processes.
_PROCESSES: Final = min(4, (os.cpu_count() or 1) + 1)
# Tests of one file share fixtures, so a file runs in one process. Each process has its own servers.
_PYTEST: Final = (
    *("-m", "pytest"),
    *(f"--numprocesses={_PROCESSES}", "--dist=loadfile", "--no-loadscope-reorder"),
    *("--durations=10", "--durations-min=1"),
)
_APT: Final = (
    ("apt-get", "-qq", "update"),
    ("apt-get", "-qq", "-y", "install", "--no-install-recommends", "chromium", "fonts-dejavu-core"),
)
_APT_TIMEOUT_S: Final = 300
_COVERAGE: Final = ("-m", "coverage")
_CHECKS: Final = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
    "imports": ("lint-imports", "--no-cache"),
    "style": ("python", "-m", "cli.style"),
}


def test(
    context: typer.Context,
    cov: Annotated[
        bool, typer.Option("--cov", help="Measure coverage (pyproject.toml) and print it.")
    ] = False,  # noqa: PT028  # a command, not a test
) -> None:
    """Run the tests; arguments go to pytest (-x, -k, PATH).

    The tests run in several processes. Use -n 0 for one process, for example with a debugger.
    """
    os.chdir(_ROOT)
    if not context.args:
        _install_chromium()
    if not cov:
        os.execv(sys.executable, (sys.executable, *_PYTEST, *context.args))  # noqa: S606
    _python(*_COVERAGE, "erase")
    code = _python(*_COVERAGE, "run", *_PYTEST, *context.args)
    _python(*_COVERAGE, "combine", "--quiet")
    _python(*_COVERAGE, "report")
    raise typer.Exit(code)


def _install_chromium() -> None:
    """Install the browser for the tests of the pages, where that is possible without a question."""
    may = Path("/etc/debian_version").exists() and os.geteuid() == 0
    if shutil.which("chromium") or not may:
        return  # without it, the tests that need it are skipped, with the reason
    sys.stderr.write("run: installing Chromium with apt-get, for the tests of the pages (once)\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in _APT:
            subprocess.run(  # noqa: S603 (constants)
                command,
                env=environment,
                check=True,
                capture_output=True,
                timeout=_APT_TIMEOUT_S,
            )
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"run: that failed ({error}); the tests of the pages are skipped\n")


def check() -> None:
    """Check format, lint, types, imports and style, in parallel."""
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        passed = list(pool.map(_run, _CHECKS))
    raise typer.Exit(0 if all(passed) else 1)


def fix() -> None:
    """Format the code, fix lint, write the generated files."""
    settings_page.PAGE.write_text(settings_page.render(), encoding="utf-8")
    chart_schema.SCHEMA.write_text(chart_schema.render(), encoding="utf-8")
    contract.write()
    # The fault matrix is defined in the tests, which no other package may import.
    matrix = (sys.executable, "-m", "tests.faults.page")
    if subprocess.run(matrix, cwd=_ROOT, check=False).returncode:  # noqa: S603 (constants)
        raise typer.Exit(1)
    for arguments in (("check", "--fix-only", "--quiet", "."), ("format", "--quiet", ".")):
        done = subprocess.run((_BIN / "ruff", *arguments), cwd=_ROOT, check=False)  # noqa: S603
        if done.returncode:
            raise typer.Exit(1)


def _python(*arguments: str) -> int:
    """Run Python in the project's folder; return the exit code."""
    return subprocess.run((sys.executable, *arguments), cwd=_ROOT, check=False).returncode  # noqa: S603


def _run(name: str) -> bool:
    """Run one check; print its output only if it fails."""
    begin_s = time.monotonic()
    tool, *arguments = _CHECKS[name]
    done = subprocess.run(  # noqa: S603 (the table above)
        (_BIN / tool, *arguments), cwd=_ROOT, capture_output=True, text=True, check=False
    )
    passed = done.returncode == 0
    outcome = "ok" if passed else "FAILED"
    line = f"{name:<8} {outcome}  {time.monotonic() - begin_s:.1f} s\n"
    sys.stdout.write(line if passed else f"{line}{done.stdout}{done.stderr}\n")
    return passed
