"""Makes the requests to an OpenID provider: discovery document, keys, and tokens for codes."""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import ClientSession

from common.http_body import fetch, read_bounded
from common.openid import read_keys
from workers.relay.sign_in import openid_connect
from workers.relay.sign_in.openid_connect import (
    KEY_KINDS,
    Attempt,
    Client,
    Keys,
    Metadata,
    UnknownKeyError,
)
from workers.relay.sign_in.refusal import SignInError

_TIMEOUT_S: Final = 10.0
_MAX_BYTES: Final = 1 << 18
_EVERY_S: Final = 6 * 3600.0  # providers publish a key long before they use it
_MIN_INTERVAL_S: Final = 30.0  # forged tokens must not cause more requests to the provider
_RETRY_S: Final = 3.0
_CONCURRENT_EXCHANGES: Final = 16

_log = logging.getLogger("workers.relay")


class _Tokens(msgspec.Struct):
    id_token: str


@dataclass(frozen=True, slots=True)
class _Published:
    """What the provider publishes."""

    metadata: Metadata
    keys: Keys


class Provider:
    """An OpenID provider. Its documents are fetched when they are first needed, and kept.

    Args:
        issuer: the provider's issuer.
        client: the relay's registration at the provider.
        http: makes the requests; its creator closes it.
        wall_s: the current time, in Unix seconds.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        issuer: str,
        client: Client,
        http: ClientSession,
        wall_s: Callable[[], float],
        monotonic_s: Callable[[], float],
    ) -> None:
        self.issuer = issuer
        self._client = client
        self._http = http
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._published: _Published | None = None
        self._due_s = 0.0  # when to fetch them
        self._fetched_s = 0.0  # when they were fetched last
        self._fetching = asyncio.Lock()
        self._turns = asyncio.Semaphore(_CONCURRENT_EXCHANGES)

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return the URL at which the user signs in.

        Raises:
            SignInError: provider-unavailable.
        """
        published = await self._current()
        return openid_connect.authorization_url(published.metadata, self._client, attempt)

    async def redeem(self, code: str, attempt: Attempt) -> dict[str, Any]:
        """Exchange a code for an ID token; return its claims.

        Raises:
            SignInError: provider-unavailable, code-refused or token-invalid.
        """
        published = await self._current()
        token = await self._exchange(published.metadata, code, attempt.verifier)
        try:
            return self._verify(token, published, attempt)
        except UnknownKeyError:
            published = await self._current(is_key_unknown=True)
        try:
            return self._verify(token, published, attempt)
        except UnknownKeyError:
            raise SignInError("token-invalid") from None

    def _verify(self, token: str, published: _Published, attempt: Attempt) -> dict[str, Any]:
        keys, metadata, now_s = published.keys, published.metadata, self._wall_s()
        return openid_connect.verify(token, keys, metadata, self._client, attempt.nonce, now_s)

    async def _current(self, *, is_key_unknown: bool = False) -> _Published:
        """Return the provider's documents, and fetch them first if it is time to."""
        async with self._fetching:
            now_s = self._monotonic_s()
            soonest_s = self._fetched_s + _MIN_INTERVAL_S if is_key_unknown else math.inf
            if now_s >= min(self._due_s, soonest_s):
                await self._refresh(now_s)
            if self._published is None:
                raise SignInError("provider-unavailable")
            return self._published

    async def _refresh(self, now_s: float) -> None:
        self._fetched_s = now_s
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                self._published = await self._fetch()
            self._due_s = now_s + _EVERY_S
        except Exception as error:  # noqa: BLE001 - the response may be anything; it is retried
            interval_s = _MIN_INTERVAL_S if self._published else _RETRY_S
            self._due_s = self._monotonic_s() + interval_s
            _log.warning("oidc-provider-unavailable error=%s", type(error).__name__)

    async def _fetch(self) -> _Published:
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await fetch(self._http, url, _MAX_BYTES)
        metadata = openid_connect.read_metadata(document, self.issuer)
        keys = read_keys(await fetch(self._http, metadata.jwks_uri, _MAX_BYTES), *KEY_KINDS)
        return _Published(metadata, keys)

    async def _exchange(self, metadata: Metadata, code: str, verifier: str) -> str:
        headers, form = openid_connect.token_request(metadata, self._client, code, verifier)
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._turns:
                status, body = await self._post(metadata.token_endpoint, headers, form)
        except Exception as error:  # noqa: BLE001 - as above
            _log.warning("oidc-provider-unavailable error=%s", type(error).__name__)
            raise SignInError("provider-unavailable") from None
        if status != 200:
            _log.warning("oidc-code-refused status=%d", status)
            raise SignInError("provider-unavailable" if status >= 500 else "code-refused")
        try:
            return msgspec.json.decode(body, type=_Tokens).id_token
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SignInError("token-invalid") from None

    async def _post(
        self, url: str, headers: dict[str, str], form: dict[str, str]
    ) -> tuple[int, bytes]:
        posting = self._http.post(url, data=form, headers=headers, allow_redirects=False)
        async with posting as response:
            return response.status, await read_bounded(response, _MAX_BYTES)
