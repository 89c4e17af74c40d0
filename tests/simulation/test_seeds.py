"""Seeds, each with different faults, run without a violation; `./run simulate` runs more."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.upstream.dialects.registry import DialectName
from tests.simulation import plan, world
from tests.simulation.model import StreamFault
from tests.simulation.oracle import judge
from tests.simulation.seeds import run_seeds
from tests.simulation.tally import EXPECTED

# What the seeds of each dialect must contain.
SESSIONS = {f"stream fault {kind}" for kind in StreamFault} | {
    "gap reconnect", "segments replayed", "status completed", "status failed",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_seeds_run_without_a_violation() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli", "simulate", "--seeds=80", "--jobs=1", "--json"],
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


DIALECTS = [each for each in DialectName if each is not DialectName.VOXTRAL]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_fault_of_a_session_is_survived_in_each_dialect(dialect: DialectName) -> None:
    outcomes = list(run_seeds(range(25), 1, dialect))
    assert {each.seed: each.problems for each in outcomes if each.problems} == {}
    counts = sum((each.counts for each in outcomes), Counter())
    # Text that is never provisional is never published again.
    missing = {"segments replayed"} if dialect is DialectName.SPEACHES else set()
    assert SESSIONS - counts.keys() == missing


@pytest.mark.parametrize(
    ("dialect", "seed"),
    [
        pytest.param("deepgram", 1594, id="interim words of a lost session, and a slow replay"),
        pytest.param("deepgram", 1727, id="interim words after a rollover"),
        pytest.param("deepgram", 4755, id="interim words, a session that accepts audio slowly"),
        pytest.param("deepgram", 263, id="silence pads the last audio"),
        pytest.param("deepgram", 200_457, id="words before and after a long gap"),
        pytest.param("mistral", 118, id="a session stops within a word"),
        pytest.param("mistral", 211, id="a session has not received the last speech"),
        pytest.param("mistral", 270, id="words of a slow session"),
        pytest.param("mistral", 289, id="a session stops before a hold"),
        pytest.param("mistral", 4733, id="a doubt of two sessions"),
        pytest.param("mistral", 6131, id="padding closes a segment before its words come"),
        pytest.param("mistral", 340_354, id="long text becomes final by itself"),
        pytest.param("mistral", 400_258, id="words come seconds after their speech was given up"),
        pytest.param("mistral", 503_459, id="words of a whole suspension come at once"),
        pytest.param("mistral", 509_812, id="a session ends before its last message was sent"),
        pytest.param("mistral", 352_462, id="the lease is renewed before the janitor writes"),
        pytest.param("qwen3-asr", 236_431, id="a suspended gateway takes a lost session for idle"),
        pytest.param("qwen3-asr", 393, id="words at a seam"),
        pytest.param("qwen3-asr", 1633, id="the soft end of a turn"),
    ],
)
def test_seeds_of_dialects_that_failed_earlier(dialect: str, seed: int) -> None:
    assert judge(world.run(plan.draw(seed, DialectName(dialect)))) == []
