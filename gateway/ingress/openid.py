"""Fetches the signing keys that OpenID issuers publish (`carriers/auth/signatures/openid.py`)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import ClientSession, ClientTimeout

from common.http_body import fetch
from gateway.carriers.auth.signatures.openid import OpenIdKeys

_TIMEOUT: Final = ClientTimeout(total=10)
_MAX_BYTES: Final = 1 << 18  # key sets usually have a few kB
_EVERY_S: Final = 6 * 3600.0  # issuers publish a key long before they use it
_MIN_INTERVAL_S: Final = 30.0  # forged tokens must not cause more requests to the issuer

_log = structlog.get_logger()


@contextlib.asynccontextmanager
async def refreshing_keys(keys: OpenIdKeys, carrier: str) -> AsyncIterator[None]:
    """Refresh an issuer's keys in the background for as long as the context lasts.

    The keys are fetched at once, every six hours, and after a token has named an unknown key.
    Errors are logged and retried.

    Args:
        keys: receives the fetched keys.
        carrier: the carrier whose issuer it is, for the log.
    """
    async with ClientSession(timeout=_TIMEOUT, trust_env=True) as http:
        refresh = asyncio.create_task(_refresh(http, keys, carrier), name="openid-keys")
        try:
            yield
        finally:
            refresh.cancel()
            await asyncio.wait([refresh])


async def _refresh(http: ClientSession, keys: OpenIdKeys, carrier: str) -> None:
    requested = asyncio.Event()
    keys.on_unknown = requested.set
    while True:
        requested.clear()
        try:
            keys_url = keys.read_configuration(await fetch(http, keys.url, _MAX_BYTES))
            keys.read_keys(await fetch(http, keys_url, _MAX_BYTES))
        except Exception as error:  # noqa: BLE001  # the response may be anything; it is retried
            requested.set()
            _log.warning("openid-keys-unread", carrier=carrier, error=type(error).__name__)
        await asyncio.sleep(_MIN_INTERVAL_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await requested.wait()
