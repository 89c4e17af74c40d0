"""Check at startup whether Redis can be used as configured, and explain why not."""

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool

from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient, address_of
from gateway.redis_client.commands import initialize
from gateway.redis_client.errors import code_of, refusal
from gateway.redis_client.tls import diagnose

_DIAGNOSIS_S: Final = 1.0


async def check(client: RedisClient, timeout_s: float = 5.0) -> None:
    """Connect to Redis and send a PING, to detect wrong settings.

    Raises:
        PublishError: `redis-refused` if a retry cannot succeed, for example because of wrong
            credentials; otherwise `redis-unavailable`. The detail is one line that names only
            hosts and ports.
    """
    address = address_of(client)
    try:
        async with asyncio.timeout(timeout_s):
            await initialize(client)
            await client.execute_command("PING")
    except MasterNotFoundError as error:
        if why := await _refusal_of_sentinels(client, timeout_s):
            raise PublishError("redis-refused", f"the sentinels of {address}: {why}") from error
        raise PublishError("redis-unavailable", f"no sentinel monitors {address}") from error
    except Exception as error:  # a broken connection raises more than RedisError
        raise await _explained(client, error) from error


async def _explained(client: RedisClient, error: Exception) -> PublishError:
    address = address_of(client)
    if why := refusal(error):
        return PublishError("redis-refused", f"Redis at {address} refuses the connection: {why}")
    if code := code_of(error):
        return PublishError("redis-unavailable", f"Redis at {address} is not ready: {code}")
    tls, is_certain = await diagnose(client, _DIAGNOSIS_S)
    if is_certain:
        return PublishError(
            "redis-refused", f"Redis at {address} refuses the connection: TLS: {tls}"
        )
    suffix = f": TLS: {tls}" if tls else ""
    return PublishError("redis-unavailable", f"no Redis answers at {address}{suffix}")


async def check_settings(client: RedisClient) -> str:
    """Check the settings of a process that can start while Redis is unavailable.

    Returns:
        Why Redis is unavailable, in one line; empty if it is available.

    Raises:
        SettingsError: Redis refuses the connection and a retry cannot succeed; see `check`.
    """
    try:
        await check(client)
    except PublishError as error:
        if not error.info.retry:
            raise SettingsError(error.detail) from None
        return error.detail
    return ""


async def _refusal_of_sentinels(client: RedisClient, timeout_s: float) -> str:
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            try:
                async with asyncio.timeout(timeout_s):
                    await sentinel.execute_command("PING")
            except Exception as error:  # noqa: BLE001 - only a refusal is of interest
                if why := refusal(error):
                    return why
    return ""
