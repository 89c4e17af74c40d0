"""Settings and fixtures of all tests: order, hypothesis profile, Redis servers.

Imports here cost every run of a single test. Fixtures therefore import what they need themselves.
"""

import signal
from collections.abc import Iterator

import hypothesis
import pytest

# Time limits per example would make tests fail on a slow machine.
hypothesis.settings.register_profile("callscribe", deadline=None)
hypothesis.settings.load_profile("callscribe")

# A shell that runs pytest in the background makes it ignore SIGINT. Child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """The URL of a server that runs for the whole session."""
    from tests.redis_servers import valkey

    with valkey() as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """The URL of the session's server, which is empty at the start of the test."""
    from tests.redis_servers import empty

    empty(redis_server_url)
    return redis_server_url


@pytest.fixture(scope="session")
def redis_cluster_nodes() -> Iterator[tuple[str, ...]]:
    """The URLs of the nodes of a cluster that runs for the whole session."""
    from tests.redis_servers import cluster

    with cluster() as urls:
        yield urls


@pytest.fixture
def redis_cluster_url(redis_cluster_nodes: tuple[str, ...]) -> str:
    """The URL of the session's cluster, which is empty at the start of the test."""
    from tests.redis_servers import empty

    for url in redis_cluster_nodes:
        empty(url)
    return redis_cluster_nodes[0].replace("redis://", "redis+cluster://")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run quick tests first, so that an error shows early; then real speech; then whole calls.

    Speech runs before the calls because its files are long: at the end, the last file would keep
    one process busy while the others have finished.
    """

    def slowness(item: pytest.Item) -> int:
        return 1 if item.get_closest_marker("speech") else 2 * ("tests/e2e/" in item.nodeid)

    items.sort(key=slowness)
