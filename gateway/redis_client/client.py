"""Create a Redis client from a URL: a single server, a cluster, or a primary behind sentinels.

    redis://user:password@host:6379/0                   rediss:// the same over TLS
    redis+cluster://host:6379,host2:6379                rediss+cluster://
    redis+sentinel://host:26379,host2:26379/service/0   rediss+sentinel://
        ?sentinel_username=...&sentinel_password=...    if the sentinels need authentication

User, password and parameters are percent-encoded. A URL can contain credentials, and a malformed
one can contain them anywhere. So no error message quotes any part of a URL.
"""

import contextlib
import ssl
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis._parsers import AsyncCommandsParser
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from common.settings import SettingsError

type RedisClient = Redis | RedisCluster

_KINDS: Final = ("", "cluster", "sentinel")
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


class _Address(NamedTuple):
    host: str
    port: int


class _SentinelPool(SentinelConnectionPool):
    """A pool of connections to the primary that also closes the connections to the sentinels."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _CommandsParser(AsyncCommandsParser):
    """Asks another node for the table of commands if the default node is lost.

    redis-py asks only the default node, always the one with the lowest slots. So the loss of that
    node would make the nodes of all other slots unusable, too.
    """

    __slots__ = ("_client",)

    def __init__(self, client: RedisCluster) -> None:
        super().__init__()
        self._client = client

    async def initialize(self, node: ClusterNode | None = None) -> None:
        """Load the table; make the node that has it the default node."""
        nodes = [node] if node else []
        nodes += [each for each in self._client.get_primaries() if each is not node]
        for each in nodes[:-1]:
            with contextlib.suppress(RedisError, OSError):
                return await self._load(each)
        return await self._load(nodes[-1])

    async def _load(self, node: ClusterNode) -> None:
        await super().initialize(node)
        self._client.set_default_node(node)


def create_client(url: str, timeout_s: float = 2.0) -> RedisClient:
    """Create a client that connects at its first command.

    The client does not retry, because its callers do: hidden retries would use up the callers'
    timeouts.

    Args:
        url: a URL in one of the forms above.
        timeout_s: for connecting, for each send and for each reply.

    Raises:
        SettingsError: the URL is invalid, or a file that it names can't be used. The message does
            not quote the URL.
    """
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # RESP3 has no advantage without push messages
        "decode_responses": False,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_keepalive": True,
        "driver_info": None,  # no CLIENT SETINFO, which needs a permission and a round trip
    }
    try:
        return _build(url, options)
    except (ValueError, TypeError, RedisError, RedisClusterException):
        raise SettingsError("the Redis URL is not valid") from None  # the cause may quote the URL


def _build(url: str, options: dict[str, Any]) -> RedisClient:
    scheme, _, rest = url.partition("://")
    tls, _, kind = scheme.partition("+")
    if tls not in ("redis", "rediss") or kind not in _KINDS or scheme.endswith("+"):
        raise SettingsError(
            "the Redis URL must start with redis://, redis+cluster:// or redis+sentinel://, or "
            "with rediss instead of redis for TLS"
        )
    parts = urlsplit(f"{tls}://{rest}")
    addresses = _addresses(parts, _SENTINEL_PORT if kind == "sentinel" else _PORT)
    path = [unquote(part) for part in parts.path.split("/")[1:] if part]
    service = path.pop(0) if kind == "sentinel" and path and not path[0].isdecimal() else ""
    if kind == "sentinel" and not service:
        raise SettingsError("the Redis URL names no service: redis+sentinel://host:26379/<service>")
    options = {**_parameters(parts), **options}
    if path:
        options["db"] = int("/".join(path))
    if parts.scheme == "rediss":
        options["ssl"] = True
        _check_tls(options)
    elif any(name.startswith("ssl") for name in options):
        raise SettingsError("the Redis URL has TLS parameters, but its scheme is not rediss")
    if kind == "cluster":
        return _cluster(addresses, options)
    if kind == "sentinel":
        return _sentinel(addresses, service, options)
    if len(addresses) > 1:
        raise SettingsError(
            "the Redis URL names several hosts: use redis+cluster:// or redis+sentinel://"
        )
    return _usable(Redis(host=addresses[0].host, port=addresses[0].port, **options))


def _cluster(addresses: list[_Address], options: dict[str, Any]) -> RedisCluster:
    # Without full coverage, so that the loss of one node does not affect the slots of the others.
    nodes = [ClusterNode(address.host, address.port) for address in addresses]
    client = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
    client.commands_parser = _CommandsParser(client)
    return client


def _sentinel(addresses: list[_Address], service: str, options: dict[str, Any]) -> Redis:
    own = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    shared = {
        name: value
        for name, value in options.items()
        if name.startswith(("socket_", "ssl")) or name in ("retry", "protocol")
    }
    # redis-py does not type these.
    sentinels = Sentinel(addresses, sentinel_kwargs={**shared, **own})  # type: ignore[no-untyped-call]
    pool = _SentinelPool(service, sentinels, **options)  # type: ignore[no-untyped-call]
    return _usable(Redis.from_pool(pool))


def _usable(client: Redis) -> Redis:
    # Does not connect, but raises an error for unknown parameters. redis-py does not type it.
    client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    return client


def _addresses(parts: SplitResult, default_port: int) -> list[_Address]:
    if "@" in parts.path or "@" in parts.query or parts.fragment:
        raise SettingsError(
            "the Redis URL is not valid: percent-encode the characters / ? # @ in the password"
        )
    addresses = []
    for address in parts.netloc.rpartition("@")[2].split(","):
        split = urlsplit(f"//{address}")
        if not split.hostname or split.port == 0:
            raise SettingsError("the Redis URL has no host, or an invalid port")
        addresses.append(_Address(unquote(split.hostname), split.port or default_port))
    return addresses


def _parameters(parts: SplitResult) -> dict[str, Any]:
    """Parse the user, the password and the query into redis-py's keyword arguments."""
    user, at, _ = parts.netloc.rpartition("@")
    if len(parse_qs(parts.query, keep_blank_values=True)) != len(parse_qs(parts.query)):
        raise ValueError("a parameter without a value")
    read: dict[str, Any] = dict(parse_url(f"redis://{user}{at}host?{parts.query}"))
    del read["host"]
    return read


def _check_tls(options: dict[str, Any]) -> None:
    """Load the certificates, so that an unusable file does not look like an unavailable Redis."""
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    try:
        _ = SSLConnection(**tls).ssl_context.get()
    except (OSError, ssl.SSLError):
        names = [name for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if name in tls]
        raise SettingsError(
            f"the Redis URL: a file in {', '.join(names)} can't be read, or is not in PEM format"
        ) from None


def destination(client: RedisClient) -> str:
    """Return the addresses and the database number of a client's Redis, without credentials."""
    if isinstance(client, RedisCluster):
        return address_of(client)
    return f"{address_of(client)}/{client.connection_pool.connection_kwargs.get('db') or 0}"


def address_of(client: RedisClient) -> str:
    """Return the addresses from a client's URL, with the service name of sentinels."""
    if isinstance(client, RedisCluster):
        # From the URL, because the nodes that the cluster reports change with every failover.
        return ", ".join(f"{node.host}:{node.port}" for node in client.startup_nodes)
    pool: ConnectionPool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        sentinels = sorted(map(_host_and_port, pool.sentinel_manager.sentinels))
        return f"{pool.service_name} of {', '.join(sentinels)}"
    return _host_and_port(client)


def _host_and_port(client: Redis) -> str:
    arguments = client.connection_pool.connection_kwargs
    return f"{arguments.get('host', 'localhost')}:{arguments.get('port', _PORT)}"
