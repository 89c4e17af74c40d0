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

from cli import contract, settings_page

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
# Commands that tests use, and the Debian packages that contain them.
_DEBIAN: Final = {
    "chromium": ("chromium", "fonts-dejavu-core"),
    "promtool": ("prometheus",),
    "amtool": ("prometheus-alertmanager",),
}
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
        _install_tools()
    if not cov:
        os.execv(sys.executable, (sys.executable, *_PYTEST, *context.args))  # noqa: S606
    _python(*_COVERAGE, "erase")
    code = _python(*_COVERAGE, "run", *_PYTEST, *context.args)
    _python(*_COVERAGE, "combine", "--quiet")
    _python(*_COVERAGE, "report")
    raise typer.Exit(code)


def _install_tools() -> None:
    """Install the tools that tests use, where that is possible without a question."""
    missing = [tool for tool in _DEBIAN if not shutil.which(tool)]
    may = Path("/etc/debian_version").exists() and os.geteuid() == 0
    if not missing or not may:
        return  # the tests that need a tool are skipped, with the reason
    sys.stderr.write(f"run: installing {', '.join(missing)} with apt-get, for tests (once)\n")
    packages = [package for tool in missing for package in _DEBIAN[tool]]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["-y", "install", "--no-install-recommends", *packages]):
        try:
            subprocess.run(  # noqa: S603 (constants)
                ("apt-get", "-qq", *arguments),  # noqa: S607 (from PATH)
                env=environment,
                check=True,
                capture_output=True,
                timeout=_APT_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"run: that failed ({error}); the tests that need it are skipped\n")
            return


def check() -> None:
    """Check format, lint, types, imports and style, in parallel."""
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        passed = list(pool.map(_run, _CHECKS))
    raise typer.Exit(0 if all(passed) else 1)


def fix() -> None:
    """Format the code, fix lint, write the generated files."""
    settings_page.PAGE.write_text(settings_page.render(), encoding="utf-8")
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
