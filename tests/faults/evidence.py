"""The matrix, shown at the end of a test run."""

import itertools

import msgspec
import pytest

from tests.faults.matrix import Outcome, markdown

PROPERTY = "outcome"  # of a cell's test: its Outcome, JSON


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it; the tests may have run in another process."""
    properties = itertools.chain.from_iterable(
        report.user_properties
        for report in itertools.chain.from_iterable(terminalreporter.stats.values())
        if isinstance(report, pytest.TestReport) and report.when == "call"
    )
    outcomes = [
        msgspec.json.decode(str(text), type=Outcome)
        for name, text in properties
        if name == PROPERTY
    ]
    if outcomes:
        terminalreporter.section("faults")
        terminalreporter.write_line(markdown(outcomes))
