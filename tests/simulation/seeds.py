"""Seeds lived through, one after another or in several processes."""

import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

import structlog

from tests.simulation import plan, world
from tests.simulation.oracle import judge
from tests.simulation.tally import tally

_AT_ONCE: Final = 5  # given to a process


class Outcome(NamedTuple):
    """What came of one seed."""

    seed: int
    problems: list[str]
    counts: Counter[str]
    cpu_s: float


def live(seed: int) -> Outcome:
    """Live through one seed."""
    began_s = time.process_time()
    try:
        evidence = world.run(plan.draw(seed))
    except Exception as error:  # noqa: BLE001 - whatever it was, the seed has to be told
        return Outcome(seed, [repr(error)], Counter(), time.process_time() - began_s)
    problems = judge(evidence)
    return Outcome(seed, problems, tally(evidence), time.process_time() - began_s)


def live_all(seeds: Sequence[int], processes: int) -> Iterator[Outcome]:
    """Live through seeds, in their order."""
    if processes == 1:
        yield from map(live, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, be_quiet) as pool:
        yield from pool.map(live, seeds, chunksize=_AT_ONCE)


def be_quiet() -> None:
    """Keep back the logs of thousands of calls that are made to fail."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("workers").setLevel(logging.CRITICAL)
