"""docs/fault-matrix.md is current."""

from cli.audit import Account
from tests.faults.matrix import CELLS, Outcome
from tests.faults.page import PAGE, outcome, render


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run ./run fix"


def test_page_requires_what_the_matrix_requires() -> None:
    whole, gap = Account(audio_ms=80, transcribed_ms=80), Account(audio_ms=80, gap_ms=80)
    for cell in CELLS:
        required = outcome(cell)
        allows = {
            "whole": (False, False, False),
            "whole, may fail": (True, False, False),
            "whole or no stream": (True, True, False),
            "gap allowed": (True, False, True),
        }[required]
        failed = Outcome(cell, whole, (), "failed socket-lost", 1.0)
        no_stream = Outcome(cell, Account(), (), "", 1.0)
        gapped = Outcome(cell, gap, ("reconnect",), "completed carrier-stopped", 1.0)
        assert allows == (failed.as_expected, no_stream.as_expected, gapped.as_expected)
