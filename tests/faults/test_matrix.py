"""Twelve cells of the matrix have the expected outcome, and violations are detected."""

from pathlib import Path

import pytest

from cli.audit import Account
from gateway.upstream.dialects.registry import DialectName
from tests.faults.matrix import (
    CELLS,
    FAULTS,
    LIMIT_S,
    SAMPLE,
    Cell,
    Moment,
    Outcome,
    markdown,
    run,
)
from tests.faults.stack import Link

_ATTEMPTS = 3

WHOLE = Account(audio_ms=7000, transcribed_ms=7000)
SHORT = Account(audio_ms=7000, transcribed_ms=6000, gap_ms=1000)
HOLED = Account(audio_ms=7000, transcribed_ms=6000, unaccounted_ms=1000)
HEALED = Cell("reset", Link.ENGINE, Moment.SPEECH)
STAYED = Cell("reset", Link.ENGINE, Moment.SPEECH, stays=True)
NEVER_REACHED = Cell("refuse", Link.CARRIER, Moment.BEFORE)
COMPLETED = "completed carrier-stopped"


@pytest.mark.timeout(_ATTEMPTS * 9 * LIMIT_S)  # up to eight times slower than at a pace of 1
@pytest.mark.parametrize("cell", SAMPLE, ids=str)
async def test_all_audio_is_transcribed_once_or_in_a_gap(
    cell: Cell, redis_port: int, tmp_path: Path
) -> None:
    [outcome] = await run([cell], redis_port, tmp_path)
    assert outcome.as_expected, str(outcome)


@pytest.mark.timeout(_ATTEMPTS * 9 * LIMIT_S)
@pytest.mark.parametrize(
    "dialect", [DialectName.DEEPGRAM, DialectName.SGLANG, DialectName.SPEACHES]
)
async def test_cells_are_played_with_other_dialects(
    dialect: DialectName, redis_port: int, tmp_path: Path
) -> None:
    cell = Cell("reset", Link.BRIDGE, Moment.SPEECH)
    [outcome] = await run([cell], redis_port, tmp_path, dialect=dialect)
    assert outcome.as_expected, str(outcome)


def test_the_sample_has_every_fault_link_and_moment() -> None:
    assert {cell.fault for cell in SAMPLE} == set(FAULTS)
    assert {cell.link for cell in SAMPLE} == set(Link)
    assert {cell.moment for cell in SAMPLE} == set(Moment)
    assert set(SAMPLE) <= set(CELLS)


@pytest.mark.parametrize(
    ("cell", "account", "error", "expected", "shown"),
    [
        (HEALED, WHOLE, "", True, "whole"),
        (HEALED, SHORT, "", False, "gap 1000 ms (reconnect)"),
        (STAYED, SHORT, "", True, "gap 1000 ms (reconnect)"),
        (STAYED, HOLED, "", False, "BROKEN: 1000 ms unaccounted"),
        (HEALED, Account(problems=("never ended",)), "", False, "BROKEN: never ended"),
        (HEALED, WHOLE, "not over", False, "BROKEN: not over"),
        (HEALED, Account(), "", False, "no stream"),
        (NEVER_REACHED, Account(), "", True, "no stream"),
    ],
)
def test_outcomes_are_checked_and_shown(
    cell: Cell, account: Account, error: str, expected: bool, shown: str
) -> None:
    causes = ("reconnect",) if account.gap_ms else ()
    outcome = Outcome(cell, account, causes, COMPLETED, 1.0, error)
    assert outcome.as_expected is expected
    assert str(outcome) == shown


def test_a_failed_status_is_expected_only_if_the_fault_stays() -> None:
    assert not Outcome(HEALED, WHOLE, (), "failed done-timeout", 1.0).as_expected
    assert Outcome(STAYED, WHOLE, (), "failed done-timeout", 1.0).as_expected


def test_the_matrix_has_a_row_per_fault_and_moment() -> None:
    outcomes = [
        Outcome(HEALED, WHOLE, (), COMPLETED, 1.0),
        Outcome(STAYED, SHORT, ("reconnect",), "failed connection-lost", 1.0),
    ]
    lines = markdown(outcomes).splitlines()
    assert "| reset | in speech |  |  |  | whole |  |" in lines
    shown = "gap 1000 ms (reconnect); failed connection-lost"
    assert f"| reset | in speech, and stays |  |  |  | {shown} |  |" in lines
    assert lines[-1] == "2 cells as expected"
