"""Keeps issuers' signing keys as they are published (`carriers/signatures/openid.py`)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import ClientSession, ClientTimeout

from common.http_body import read_bounded
from gateway.carriers.auth.signatures.openid import OpenIdKeys

_TIMEOUT: Final = ClientTimeout(total=10)
_MAX_BYTES: Final = 1 << 18  # a few kB are usual
_EVERY_S: Final = 6 * 3600.0  # a key is published long before it is used
_AGAIN_S: Final = 30.0  # at the earliest: who shows made-up tokens must not make us ask

_log = structlog.get_logger()


@contextlib.asynccontextmanager
async def keeping(keys: OpenIdKeys, carrier: str) -> AsyncIterator[None]:
    """Read an issuer's keys now and then, as long as the context lasts; fails for no reason.

    Args:
        keys: read at once, every six hours, and after a token has named another one.
        carrier: whose they are, for the log.
    """
    async with ClientSession(timeout=_TIMEOUT, trust_env=True) as http:
        reading = asyncio.create_task(_keep(http, keys, carrier), name="openid-keys")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def _keep(http: ClientSession, keys: OpenIdKeys, carrier: str) -> None:
    wanted = asyncio.Event()
    keys.on_unknown = wanted.set
    while True:
        wanted.clear()
        try:
            place = keys.read_configuration(await _get(http, keys.url))
            keys.read_keys(await _get(http, place))
        except Exception as error:  # noqa: BLE001  # whatever it publishes, it is asked again
            wanted.set()
            _log.warning("openid-keys-unread", carrier=carrier, error=type(error).__name__)
        await asyncio.sleep(_AGAIN_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await wanted.wait()


async def _get(http: ClientSession, url: str) -> bytes:
    async with http.get(url, raise_for_status=True, allow_redirects=False) as response:
        return await read_bounded(response, _MAX_BYTES)
