"""`python -m tests.simulation`: lives through seeds, and says which broke the promise.

Started by `./run simulate`, which sees to the environment: a fixed PYTHONHASHSEED, for what is kept
in sets, and one thread for numpy.
"""

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import structlog

from tests.simulation import plan, world
from tests.simulation.tally import tally
from tests.simulation.verdict import judge

_PROGRESS_EVERY_S: Final = 5.0
_SEEDS_AT_ONCE: Final = 5


class Outcome(NamedTuple):
    """What came of one seed."""

    seed: int
    problems: list[str]
    counts: Counter[str]
    cpu_s: float


def main() -> int:
    """Run; gives the exit code: 1 if any seed failed."""
    options = _options()
    _be_quiet()
    if options.verbose:
        for seed in range(options.first, options.first + options.seeds):
            _show(seed)
    began_s = time.monotonic()
    failed: list[Outcome] = []
    counts: Counter[str] = Counter()
    cpu_s, shown_s = 0.0, began_s
    for done, outcome in enumerate(_run(options.first, options.seeds, options.jobs), start=1):
        counts += outcome.counts
        cpu_s += outcome.cpu_s
        if outcome.problems:
            failed.append(outcome)
            _say(f"seed {outcome.seed}: {'; '.join(outcome.problems[:5])}")
        if time.monotonic() - shown_s >= _PROGRESS_EVERY_S or done == options.seeds:
            shown_s = time.monotonic()
            _say(f"{done} of {options.seeds} seeds, {len(failed)} failed")
    report = {
        "first": options.first,
        "seeds": options.seeds,
        "failed": {outcome.seed: outcome.problems for outcome in failed},
        "seconds": round(time.monotonic() - began_s, 1),
        "cpu_ms_per_seed": round(1000 * cpu_s / options.seeds, 1),
        "counts": dict(sorted(counts.items())),
    }
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        _print_counts(report["seconds"], counts)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("-v", "--verbose", action="store_true", help="show all that happens")
    return parser.parse_args()


def _be_quiet() -> None:
    """Keep the logs of a thousand calls that fail for themselves."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("workers").setLevel(logging.CRITICAL)


def _run(first: int, seeds: int, jobs: int) -> Iterator[Outcome]:
    wanted: Iterable[int] = range(first, first + seeds)
    if jobs == 1:
        yield from map(live, wanted)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _be_quiet) as pool:
        yield from pool.imap(live, wanted, _SEEDS_AT_ONCE)


def live(seed: int) -> Outcome:
    """Live through one seed."""
    began_s = time.process_time()
    evidence = world.run(plan.draw(seed))
    problems = judge(evidence)
    return Outcome(seed, problems, tally(evidence), time.process_time() - began_s)


def _show(seed: int) -> None:
    drawn = plan.draw(seed)
    evidence = world.run(drawn)
    sys.stdout.write(f"{drawn}\n\n")
    for entry in evidence.trace.entries:
        sys.stdout.write(f"{entry}\n")
    for call_id, events in evidence.records.items():
        sys.stdout.write(f"\n{call_id}\n")
        for event in events:
            hidden = {"v", "call_id", "gateway", "at", "params", "tracks"}
            shown = (f"{name}={text}" for name, text in event.items() if name not in hidden)
            sys.stdout.write(" ".join(shown) + "\n")


def _print_counts(seconds: object, counts: Counter[str]) -> None:
    for name, count in sorted(counts.items()):
        sys.stdout.write(f"{name:<40} {count}\n")
    sys.stdout.write(f"{'seconds':<40} {seconds}\n")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
