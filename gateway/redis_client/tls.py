"""Find out why a TLS connection to Redis failed, if its error did not say so."""

import asyncio
import ssl
from typing import Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool

from gateway.redis_client.client import RedisClient
from gateway.redis_client.errors import tls_failure

_CLOSED: Final = "closed by the server; a client certificate may be needed"
_CLOSED_ON_US: Final = "closed by the server; the client certificate may be refused"


async def diagnose(client: RedisClient, timeout_s: float) -> tuple[str, bool]:
    """Connect again without sending a command, and read the server's TLS alert.

    In TLS 1.3, a server rejects the client's certificate after the client has completed the
    handshake. If the client has sent a command by then, the alert can be lost with the connection.

    Returns:
        The failure, empty if none was found; and whether it is certain, because TLS reported it.
    """
    for connection in _connections(client):
        if not isinstance(connection, SSLConnection):
            return "", False
        context = connection.ssl_context.get()
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(
                    connection.host, connection.port, ssl=context
                )
                try:
                    is_open = bool(await reader.read(1))
                finally:
                    writer.transport.abort()
        except TimeoutError:  # the server waits for a command, or does not respond
            continue
        except (ConnectionResetError, ssl.SSLError) as error:
            if failure := tls_failure(error):
                return failure, True
            is_open = False
        except OSError:  # no server at this address
            continue
        if not is_open:
            return (_CLOSED_ON_US if connection.certfile else _CLOSED), False
    return "", False


def _connections(client: RedisClient) -> list[AbstractConnection]:
    """Create an unconnected connection for each address in the URL."""
    if isinstance(client, RedisCluster):
        nodes = client.startup_nodes
        return [node.connection_class(**node.connection_kwargs) for node in nodes]
    pool = client.connection_pool
    named: list[Redis] = [client]
    if isinstance(pool, SentinelConnectionPool):
        named = pool.sentinel_manager.sentinels
    # redis-py does not type it.
    return [each.connection_pool.make_connection() for each in named]  # type: ignore[no-untyped-call]
