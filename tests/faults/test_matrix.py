"""Every cell of the matrix keeps the promise; and the checks can tell when one does not."""

from collections.abc import Callable

import msgspec
import pytest

from cli.proof import Account
from tests.faults.conftest import LIMIT_S
from tests.faults.evidence import PROPERTY
from tests.faults.matrix import CELLS, Cell, Moment, Outcome, markdown
from tests.faults.stack import Link

WHOLE = Account(audio_ms=7000, transcribed_ms=7000)
SHORT = Account(audio_ms=7000, transcribed_ms=6000, gap_ms=1000)
HOLED = Account(audio_ms=7000, transcribed_ms=6000, unaccounted_ms=1000)
HEALED = Cell("reset", Link.ENGINE, Moment.SPEECH)
STAYED = Cell("reset", Link.ENGINE, Moment.SPEECH, stays=True)
NEVER_REACHED = Cell("refuse", Link.CARRIER, Moment.BEFORE)
COMPLETED = "completed carrier-stopped"


@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_every_80_ms_is_heard_once_or_declared(
    cell: Cell,
    matrix_outcomes: dict[Cell, Outcome],
    record_property: Callable[[str, str], None],
) -> None:
    outcome = matrix_outcomes[cell]
    record_property(PROPERTY, msgspec.json.encode(outcome).decode())
    assert outcome.as_expected, str(outcome)


@pytest.mark.parametrize(
    ("cell", "account", "trouble", "expected", "shown"),
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
def test_what_is_expected_of_a_cell(
    cell: Cell, account: Account, trouble: str, expected: bool, shown: str
) -> None:
    causes = ("reconnect",) if account.gap_ms else ()
    outcome = Outcome(cell, account, causes, COMPLETED, 1.0, trouble)
    assert outcome.as_expected is expected
    assert str(outcome) == shown


def test_a_call_that_healed_must_not_fail() -> None:
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
    assert lines[-1] == "2 cells as promised"
