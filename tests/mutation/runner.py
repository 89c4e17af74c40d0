"""Run a module's tests against a mutant, in a temporary copy of the tree."""

import os
import shutil
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutation.mutants import Mutant
from tests.mutation.targets import ROOT, TARGETS

# What a test may import or read. Everything else, .git and .venv above all, stays behind.
_COPIED: Final = (
    *("gateway", "workers", "container", "deploy", "cli", "common", "tests"),
    *("docs", "pyproject.toml"),
)
# A mutant may loop. Its tests get this multiple of their time without a mutation, plus a margin for
# a busy machine.
_SLACK: Final = 4
_MARGIN_S: Final = 10.0
_BASELINE_S: Final = 300.0


class Verdict(StrEnum):
    """What the tests did with a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "SURVIVED"


class Result(NamedTuple):
    """One mutant, and what became of it."""

    module: str
    mutant: Mutant
    outcome: Verdict
    took_s: float


class BaselineError(Exception):
    """The tests of a module fail without a mutation."""


class Copy:
    """A copy of the tree that mutants are written to, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._limits_s: dict[str, float] = {}
        self._writes = 0
        for name in _COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)

    def run(self, module: str, mutant: Mutant) -> Result:
        """Run the module's tests against a mutant.

        Raises:
            BaselineError: the tests fail without a mutation.
        """
        if module not in self._limits_s:
            self._limits_s[module] = self._measure(module)
        path = self._folder / module
        original = path.read_text(encoding="utf-8")
        began_s = time.monotonic()
        try:
            self._write(path, mutant.source)
            outcome = self._test(module, self._limits_s[module])
        finally:
            self._write(path, original)
        return Result(module, mutant, outcome, time.monotonic() - began_s)

    def _measure(self, module: str) -> float:
        began_s = time.monotonic()
        if self._test(module, _BASELINE_S) is not Verdict.SURVIVED:
            raise BaselineError(f"{module}: its tests fail without a mutation")
        return _SLACK * (time.monotonic() - began_s) + _MARGIN_S

    def _test(self, module: str, limit_s: float) -> Verdict:
        command = (sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider")
        # The copy comes before the installed packages, which point to the original.
        environment = os.environ | {"PYTHONPATH": str(self._folder), "OPENBLAS_NUM_THREADS": "1"}
        try:
            done = subprocess.run(  # noqa: S603 (the tests of targets.py)
                (*command, *TARGETS[module]),
                cwd=self._folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict.TIMED_OUT
        return Verdict.KILLED if done.returncode else Verdict.SURVIVED

    def _write(self, path: Path, text: str) -> None:
        """Write a module with a time of its own: bytecode is cached by size and whole seconds."""
        path.write_text(text, encoding="utf-8")
        self._writes += 1
        at = 1_000_000_000 + self._writes
        os.utime(path, (at, at))
