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
# Two more than cores: half of the suite's time is spent waiting for sockets and processes.
_PROCESSES: Final = min(6, (os.cpu_count() or 1) + 2)
# Tests of one file share fixtures, so a file runs in one process. Each process has its own servers.
_PYTEST: Final = (
    *("-m", "pytest"),
    *(f"--numprocesses={_PROCESSES}", "--dist=loadfile", "--no-loadscope-reorder"),
    *("--durations=10", "--durations-min=1"),
)
_CHROMIUM: Final = ("chromium", "fonts-dejavu-core")
# Packages that are only unpacked, by program: installed, they would start services that listen on
# the network. The libraries that the programs need come with apt and Python: PCRE2, OpenSSL, zlib.
_UNPACKED: Final = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "nginx": "nginx",
    "caddy": "caddy",
}
_DEBIAN: Final = _ROOT / ".venv/debian"
_APT_TIMEOUT_S: Final = 300
_COVERAGE: Final = ("-m", "coverage")
_CHECKS: Final = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
    "imports": ("lint-imports", "--no-cache"),
    "style": ("python", "-m", "cli.style"),
    "shell": ("shellcheck", "run", ".ci/run"),
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
    os.environ["PATH"] += f":{_DEBIAN / 'usr/bin'}:{_DEBIAN / 'usr/sbin'}"
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
    """Install the programs that tests use, where that is possible without a question.

    Without a program, the tests that need it are skipped, with the reason.
    """
    missing = [package for program, package in _UNPACKED.items() if not shutil.which(program)]
    has_chromium = shutil.which("chromium")
    may = Path("/etc/debian_version").exists() and os.geteuid() == 0
    if not may or (has_chromium and not missing):
        return
    names = ", ".join([*missing, *(() if has_chromium else _CHROMIUM)])
    sys.stderr.write(f"run: fetching with apt-get, for tests (once): {names}\n")
    _DEBIAN.mkdir(exist_ok=True)
    try:
        _apt("update")
        if missing:
            _apt("download", *missing)
            for package in _DEBIAN.glob("*.deb"):
                _system("dpkg-deb", "--extract", str(package), str(_DEBIAN))
                package.unlink()
        if not has_chromium:
            _apt("-y", "install", "--no-install-recommends", *_CHROMIUM)
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"run: that failed ({error}); the tests that need them are skipped\n")


def _apt(*arguments: str) -> None:
    _system("apt-get", "-qq", *arguments)


def _system(*command: str) -> None:
    """Run a program of Debian in the folder of unpacked packages."""
    subprocess.run(  # noqa: S603 (constants)
        command,
        cwd=_DEBIAN,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=True,
        capture_output=True,
        timeout=_APT_TIMEOUT_S,
    )


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
