"""The matrix is run once, by two processes."""

import subprocess
import sys
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.faults.matrix import Cell, Outcome
from tests.faults.stack import know_credentials

SHARES = ("1/2", "2/2")
LIMIT_S = 240.0  # on a slow machine; a minute on two cores


@pytest.fixture
def redis_port(redis_server_url: str) -> int:
    """The port of the session's server."""
    return urlsplit(redis_server_url).port or 0


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    know_credentials(monkeypatch.setenv)


@pytest.fixture(scope="session")
def matrix_outcomes(pytestconfig: pytest.Config) -> dict[Cell, Outcome]:
    """What became of every cell's call."""
    running = [
        subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.faults", "--json", "--share", share],
            stdout=subprocess.PIPE,
            cwd=pytestconfig.rootpath,
        )
        for share in SHARES
    ]
    try:
        printed = [process.communicate(timeout=LIMIT_S)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    outcomes = [
        msgspec.json.decode(line, type=Outcome) for text in printed for line in text.splitlines()
    ]
    return {outcome.cell: outcome for outcome in outcomes}
