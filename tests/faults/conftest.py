"""Fixtures of the fault tests."""

from urllib.parse import urlsplit

import pytest

from tests.faults.stack import set_credentials


@pytest.fixture
def redis_port(redis_server_url: str) -> int:
    """Return the port of the session's Redis server."""
    return urlsplit(redis_server_url).port or 0


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    set_credentials(monkeypatch.setenv)
