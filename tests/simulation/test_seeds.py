"""A thousand small worlds, each with failures of its own: in every one the promise holds."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import plan, world
from tests.simulation.oracle import judge
from tests.simulation.tally import EXPECTED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1800)  # 75 s alone; 430 s beside three busy loops on each core
def test_a_thousand_seeds() -> None:
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
def test_a_seed_replays_to_the_letter(seed: int) -> None:
    first, again = (world.run(plan.draw(seed)) for _ in range(2))
    assert first.trace.entries == again.trace.entries
    assert first.records == again.records


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(64_126, id="a stream comes twice in a millisecond"),
        pytest.param(86_864, id="a gateway takes over and dies while Redis is away"),
    ],
)
def test_the_two_of_a_hundred_thousand_that_failed_once(seed: int) -> None:
    drawn = plan.draw(seed)
    events = tuple(event for event in drawn.events if event.trouble not in plan.LAPSES)
    as_it_was = dataclasses.replace(drawn, events=events, clocks_s=(0.0,) * plan.GATEWAYS)
    assert judge(world.run(as_it_was)) == []


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(302_480, id="a call hangs up while it waits for its slots"),
        pytest.param(308_077, id="a gateway takes over and dies while Redis is slow"),
    ],
)
def test_the_two_of_twenty_five_thousand_that_failed_once(seed: int) -> None:
    assert judge(world.run(plan.draw(seed))) == []
