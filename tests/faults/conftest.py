"""What tests of faults share."""

from urllib.parse import urlsplit

import pytest

from tests.faults.stack import know_credentials


@pytest.fixture
def redis_port(redis_server_url: str) -> int:
    """The port of the session's server."""
    return urlsplit(redis_server_url).port or 0


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    know_credentials(monkeypatch.setenv)
