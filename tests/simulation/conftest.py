"""The logs of calls that are made to fail are kept back, here only."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.seeds import be_quiet


@pytest.fixture(autouse=True, scope="package")
def _quiet() -> Iterator[None]:
    config, level = structlog.get_config(), logging.getLogger("workers").level
    be_quiet()
    yield
    structlog.configure(**config)
    logging.getLogger("workers").setLevel(level)
