"""A thousand seeds, each with different faults, run without a violation."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.upstream.dialects.registry import DialectName
from tests.simulation import plan, world
from tests.simulation.oracle import judge
from tests.simulation.tally import EXPECTED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1800)  # 75 s alone; 430 s beside three busy loops on each core
def test_a_thousand_seeds_run_without_a_violation() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli", "simulate", "--seeds=1000", "--jobs=1", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["failed"] == {}
    assert done.returncode == 0
    assert EXPECTED - report["counts"].keys() == set()


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_gives_the_same_trace_in_every_run(seed: int) -> None:
    first, again = (world.run(plan.draw(seed)) for _ in range(2))
    assert first.trace.entries == again.trace.entries
    assert first.records == again.records


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(64_126, id="a stream starts twice within a millisecond"),
        pytest.param(86_864, id="a gateway takes over and crashes while Redis is unavailable"),
    ],
)
def test_seeds_that_failed_earlier_before_lapses_were_drawn(seed: int) -> None:
    drawn = plan.draw(seed)
    events = tuple(event for event in drawn.events if event.fault not in plan.LAPSES)
    without_lapses = dataclasses.replace(drawn, events=events, clocks_s=(0.0,) * plan.GATEWAYS)
    assert judge(world.run(without_lapses)) == []


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(302_480, id="a call hangs up while it waits for its slots"),
        pytest.param(308_077, id="a gateway takes over and crashes while Redis is slow"),
    ],
)
def test_seeds_that_failed_earlier(seed: int) -> None:
    assert judge(world.run(plan.draw(seed))) == []


@pytest.mark.parametrize(
    "seed",
    [
        *range(30),
        pytest.param(1594, id="interim words of a lost session, and a slow replay"),
        pytest.param(1727, id="interim words after a rollover"),
        pytest.param(4755, id="interim words, and a session that accepts audio slowly"),
    ],
)
def test_a_call_to_deepgram_is_whole(seed: int) -> None:
    """Interim words are withdrawn if no session is left to complete them: a gap, not a loss."""
    problems = judge(world.run(plan.draw(seed, DialectName.DEEPGRAM)))
    assert [each for each in problems if not each.endswith("then declared missing")] == []
