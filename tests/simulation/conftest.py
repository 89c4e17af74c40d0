"""Silence the logs of calls that are made to fail, in this package only."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.seeds import silence_logs


@pytest.fixture(autouse=True, scope="package")
def _quiet() -> Iterator[None]:
    config, level = structlog.get_config(), logging.getLogger("workers").level
    silence_logs()
    yield
    structlog.configure(**config)
    logging.getLogger("workers").setLevel(level)
