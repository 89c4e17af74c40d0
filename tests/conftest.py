"""What all tests share: the order they run in, and the fixtures of real servers."""

import signal

import hypothesis
import pytest

# The machine may be slow: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("callscribe", deadline=None)
hypothesis.settings.load_profile("callscribe")

# A shell that runs us in the background has us ignore Ctrl-C, and so would all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.redis_servers"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is quick first: then a mistake shows soon. Whole calls and real speech come last.

    Speech before the calls: its files are long, and the last one would keep one process alone.
    """

    def slowness(item: pytest.Item) -> int:
        return 1 if item.get_closest_marker("speech") else 2 * ("tests/e2e/" in item.nodeid)

    items.sort(key=slowness)
