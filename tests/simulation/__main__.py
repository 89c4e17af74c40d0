"""`python -m tests.simulation`: run seeds, and report those that violate the guarantees.

`./run simulate` starts it with the environment that it needs: a fixed PYTHONHASHSEED, which makes
the order of sets reproducible, and one thread for numpy.
"""

import argparse
import json
import sys
import time
from collections import Counter
from typing import Final

from gateway.upstream.dialects.registry import DialectName
from tests.simulation import plan, world
from tests.simulation.seeds import Outcome, run_seeds, silence_logs

_PROGRESS_EVERY_S: Final = 5.0


def main() -> int:
    """Run the seeds; return the exit code, which is 1 if any seed failed."""
    options = _options()
    silence_logs()
    wanted = range(options.first, options.first + options.seeds)
    if options.verbose:
        for seed in wanted:
            _show(seed, options.dialect)
    began_s = time.monotonic()
    failed: list[Outcome] = []
    counts: Counter[str] = Counter()
    cpu_s, shown_s = 0.0, began_s
    for done, outcome in enumerate(run_seeds(wanted, options.jobs, options.dialect), start=1):
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
    parser.add_argument("--seeds", type=int, default=100, help="number of seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    parser.add_argument(
        "--dialect",
        type=DialectName,
        default=DialectName.VOXTRAL,
        choices=list(DialectName),
        metavar="DIALECT",
        help=f"of the endpoints: {', '.join(DialectName)}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("-v", "--verbose", action="store_true", help="show everything that happens")
    return parser.parse_args()


def _show(seed: int, dialect: DialectName) -> None:
    drawn = plan.draw(seed, dialect)
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
