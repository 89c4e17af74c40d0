"""`./run test` and `./run check`: what a change must pass; `./run fix`: what a tool can mend."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import typer

from cli import settings_page

PASS_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True}

_ROOT: Final = Path(__file__).resolve().parents[1]
_BIN: Final = Path(sys.executable).parent
# One more than cores: half of the suite's time is spent waiting for sockets and processes.
_PROCESSES: Final = min(4, (os.cpu_count() or 1) + 1)
# A file's tests share what they have set up, and each process has servers of its own.
_PYTEST: Final = (
    *(sys.executable, "-m", "pytest"),
    *(f"--numprocesses={_PROCESSES}", "--dist=loadfile", "--no-loadscope-reorder"),
    *("--durations=10", "--durations-min=1"),
)
_CHECKS: Final = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
    "imports": ("lint-imports", "--no-cache"),
}


def test(context: typer.Context) -> None:
    """Run the tests; what follows goes to pytest (-x, -k, a path).

    Several processes share them; -n 0 keeps to one, for a debugger say.
    """
    os.chdir(_ROOT)
    os.execv(sys.executable, (*_PYTEST, *context.args))  # noqa: S606


def check() -> None:
    """Check format, lint, types and import contracts, all at once."""
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        passed = list(pool.map(_run, _CHECKS))
    raise typer.Exit(0 if all(passed) else 1)


def fix() -> None:
    """Format the code, apply lint fixes, write docs/settings.md."""
    settings_page.PAGE.write_text(settings_page.render(), encoding="utf-8")
    for arguments in (("check", "--fix-only", "--quiet", "."), ("format", "--quiet", ".")):
        done = subprocess.run((_BIN / "ruff", *arguments), cwd=_ROOT, check=False)  # noqa: S603
        if done.returncode:
            raise typer.Exit(1)


def _run(name: str) -> bool:
    """Run one check; its output is shown only if it fails."""
    begin_s = time.monotonic()
    tool, *arguments = _CHECKS[name]
    done = subprocess.run(  # noqa: S603 (the table above)
        (_BIN / tool, *arguments), cwd=_ROOT, capture_output=True, text=True, check=False
    )
    passed = done.returncode == 0
    verdict = "ok" if passed else "FAILED"
    line = f"{name:<8} {verdict}  {time.monotonic() - begin_s:.1f} s\n"
    sys.stdout.write(line if passed else f"{line}{done.stdout}{done.stderr}\n")
    return passed
