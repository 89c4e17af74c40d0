"""`python -m tests.mutation`: mutate the pure modules and list what no test notices."""

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.runner import BaselineError, Copy, Result, Verdict
from tests.mutation.targets import ROOT, TARGETS

_MISUSED: Final = 2


def main() -> int:
    """Run the mutants; return the exit code, which is 2 if tests fail without a mutation."""
    options = _options()
    chosen = _choose(options.module, options.count, options.seed)
    if not chosen:
        print(f"mutate: no module of {', '.join(options.module)}", file=sys.stderr)  # noqa: T201
        return _MISUSED
    try:
        results = list(_run(chosen, options.jobs))
    except BaselineError as error:
        print(f"mutate: {error}", file=sys.stderr)  # noqa: T201
        return _MISUSED
    _report(results)
    return 0


def _choose(modules: list[str], count: int, seed: int) -> list[tuple[str, Mutant]]:
    """Return `count` mutants of the modules, at random; those of one module are neighbors."""
    named = [path for path in TARGETS if not modules or any(each in path for each in modules)]
    every = [(path, each) for path in named for each in mutants((ROOT / path).read_text())]
    chosen = random.Random(seed).sample(range(len(every)), min(count, len(every)))  # noqa: S311
    return [every[index] for index in sorted(chosen)]


def _run(chosen: list[tuple[str, Mutant]], jobs: int) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            path = Path(folder, str(number))
            path.mkdir()
            copies.put(Copy(path))

        def run(each: tuple[str, Mutant]) -> Result:
            copy = copies.get()
            try:
                return copy.run(*each)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            for number, result in enumerate(pool.map(run, chosen), start=1):
                print(f"{number:>3}/{len(chosen)} {_line(result)}", flush=True)  # noqa: T201
                yield result


def _line(result: Result) -> str:
    place = f"{result.module}:{result.mutant.line}"
    return f"{result.outcome:<9} {result.took_s:5.1f} s  {place}  {result.mutant.change}"


def _report(results: list[Result]) -> None:
    counts = Counter(result.outcome for result in results)
    print(", ".join(f"{counts[outcome]} {outcome.lower()}" for outcome in Verdict))  # noqa: T201
    for result in results:
        if result.outcome is Verdict.SURVIVED:
            place = f"{result.module}:{result.mutant.line}"
            print(f"{place}\n    - {result.mutant.before}\n    + {result.mutant.after}")  # noqa: T201


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run mutate",
        description="Change the pure modules one expression at a time, run the tests of each, and "
        "list the changes that no test notices.",
    )
    parser.add_argument("--count", type=int, default=40, help="mutants to run (40)")
    parser.add_argument("--seed", type=int, default=0, help="selects the mutants (0)")
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        help="part of a path, such as audio/clock; may be repeated (all modules of targets.py)",
    )
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, help=f"mutants at once ({cores})")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
