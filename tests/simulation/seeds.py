"""Run seeds, one after another or in several processes."""

import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final, NamedTuple

import structlog

from gateway.upstream.dialects.registry import DialectName
from tests.simulation import plan, world
from tests.simulation.oracle import judge
from tests.simulation.tally import tally

_AT_ONCE: Final = 5  # seeds that a process gets at once


class Outcome(NamedTuple):
    """The result of one seed."""

    seed: int
    problems: list[str]
    counts: Counter[str]
    cpu_s: float


def run_seed(seed: int, dialect: DialectName = DialectName.VOXTRAL) -> Outcome:
    """Run one seed."""
    began_s = time.process_time()
    try:
        evidence = world.run(plan.draw(seed, dialect))
    except Exception as error:  # noqa: BLE001 - any failure must be reported with its seed
        return Outcome(seed, [repr(error)], Counter(), time.process_time() - began_s)
    problems = judge(evidence)
    return Outcome(seed, problems, tally(evidence), time.process_time() - began_s)


def run_seeds(
    seeds: Sequence[int], processes: int, dialect: DialectName = DialectName.VOXTRAL
) -> Iterator[Outcome]:
    """Run seeds; yield their results in the order of the seeds."""
    run = partial(run_seed, dialect=dialect)
    if processes == 1:
        yield from map(run, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, silence_logs) as pool:
        yield from pool.map(run, seeds, chunksize=_AT_ONCE)


def silence_logs() -> None:
    """Silence the logs of calls that are made to fail."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("workers").setLevel(logging.CRITICAL)
