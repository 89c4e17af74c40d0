"""Sends messages to webhooks, signed as in Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import contextlib
import errno
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from standardwebhooks import Webhook

from common.settings import SettingsError
from common.version import version
from workers.push.addresses import Network
from workers.push.delivery import Result
from workers.push.guard import AddressRefusedError, guarded_sockets
from workers.push.messages import Message
from workers.push.subscriptions import Endpoint

_REDIRECTS: Final = range(300, 400)
_MAX_BODY: Final = 65_536  # bytes of a response that are read, so that its connection is reused
_BODY_S: Final = 1.0
_MAX_RETRY_AFTER_CHARACTERS: Final = 64


@contextlib.asynccontextmanager
async def open_session(
    allowed: Sequence[Network], timeout_s: float, ca_file: Path | None = None
) -> AsyncIterator[ClientSession]:
    """Yield the client of all webhooks.

    It follows no redirects, keeps no cookies, uses no proxy of the environment, decompresses
    nothing, and connects to allowed addresses only.

    Args:
        allowed: networks that are allowed besides public addresses.
        timeout_s: longest time of a request.
        ca_file: PEM file of more CAs to trust.

    Raises:
        SettingsError: the file can't be read, or is not valid.
    """
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        why = type(error).__name__
        raise SettingsError(f"WORKER_PUSH_CA_FILE cannot be used: {why}") from None
    connector = TCPConnector(
        limit=0,  # the dispatcher limits each subscription
        ssl=context,
        socket_factory=guarded_sockets(allowed),
    )
    async with ClientSession(
        connector=connector,
        timeout=ClientTimeout(total=timeout_s),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"User-Agent": f"Callscribe/{version()}"},
    ) as session:
        yield session


class WebhookAdapter:
    """Delivers messages to a webhook; implements `Adapter`.

    Args:
        session: from `open_session`.
        endpoint: the URL and the secrets.
    """

    def __init__(self, session: ClientSession, endpoint: Endpoint) -> None:
        self._session = session
        self._url = endpoint.url
        self._signers = [Webhook(secret) for secret in endpoint.secrets]

    async def deliver(self, message: Message, attempt: int) -> Result:
        """Send a message; see `Adapter`."""
        headers = self.headers(message, attempt, datetime.now(UTC))
        return await post(self._session, self._url, message.body.encode(), headers)

    def headers(self, message: Message, attempt: int, now: datetime) -> dict[str, str]:
        """Return the headers of an attempt, with a signature by each secret."""
        signatures = [each.sign(message.id, now, message.body) for each in self._signers]
        return {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
            "callscribe-attempt": str(attempt),
        }


async def post(session: ClientSession, url: str, body: bytes, headers: dict[str, str]) -> Result:
    """Send a request; return how it ended. No part of the response is kept.

    If the time of the session is over before the response has been read to its end, the result is
    that of its status.
    """
    result = Result(reason="timeout")
    try:
        async with (
            asyncio.timeout(session.timeout.total),  # aiohttp's own is late by up to a second
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            result = _result_of(response)
            await _drain(response)
    except TimeoutError:
        return result
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return result if result.status else Result(reason=reason_of(error))
    return result


def _result_of(response: ClientResponse) -> Result:
    if response.status in _REDIRECTS:
        return Result(response.status, "redirect")
    retry_after = response.headers.get("Retry-After", "")
    reason = "" if response.ok else "status"
    return Result(response.status, reason, retry_after_s=_seconds(retry_after))


async def _drain(response: ClientResponse) -> None:
    """Read the rest of a short response; close the connection of a long or slow one."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_BODY_S):
            size = 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > _MAX_BODY:
                    break
            else:
                return
    response.close()


def _seconds(retry_after: str) -> float | None:
    """Parse `Retry-After`: seconds, or a date. RFC 9110, section 10.2.3."""
    if not retry_after or len(retry_after) > _MAX_RETRY_AFTER_CHARACTERS:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def reason_of(error: Exception) -> str:
    """Return the slug of a failed request. The error's text may quote the URL, and is not used."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            return _reason_of_connect(error.os_error)
        case aiohttp.ClientOSError() | aiohttp.ServerDisconnectedError():
            return "connection-lost"
        case aiohttp.ClientPayloadError():
            return "connection-lost"
        case aiohttp.InvalidURL():
            return "invalid-url"
        case aiohttp.ClientResponseError() | aiohttp.http_exceptions.HttpProcessingError():
            return "malformed-response"
        case OSError():
            return _reason_of_connect(error)
        case _:
            return "malformed-response"


def _reason_of_connect(error: OSError) -> str:
    if isinstance(error, AddressRefusedError):
        return "address-refused"
    return "connect-refused" if error.errno == errno.ECONNREFUSED else "connect-failed"
