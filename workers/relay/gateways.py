"""Asks the gateways' private ports: for the snapshot of a call, and for a browser's media URL."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import Meta

from common.http_body import read_bounded

_TIMEOUT: Final = ClientTimeout(total=3)
_MAX_BODY: Final = 1 << 20


class GatewaysError(Exception):
    """No gateway gave a usable response. The message is one sentence."""


class MediaUrl(msgspec.Struct, frozen=True):
    """Where a browser sends its audio; the URL contains a token."""

    url: Annotated[str, Meta(max_length=4096)]
    tenant: str
    route: str


class Gateways:
    """The admin APIs of all gateways.

    Args:
        http: the client session.
        urls: the private ports' URLs.
        token: a bearer token with the scopes `read` and `mint`.
        media_url: where browsers reach the media port; empty: as the gateway's public URL.
    """

    def __init__(
        self, http: ClientSession, urls: Sequence[str], token: str, media_url: str
    ) -> None:
        self._http = http
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}
        self._media_url = media_url

    async def snapshot(self, call_id: str) -> Any | None:  # noqa: ANN401 - JSON
        """Return what the call's gateway knows about a live call; None if no gateway has it."""
        for url in self._urls:
            try:
                body = await self._request("GET", f"{url}/calls/{quote(call_id, safe='%')}")
                return msgspec.json.decode(body)
            except (GatewaysError, msgspec.DecodeError):
                continue
        return None

    async def media_url(self, call_id: str, route: str) -> MediaUrl:
        """Return where a browser sends the audio of a new call.

        Raises:
            GatewaysError: no gateway issued a token.
        """
        body = msgspec.json.encode({"carrier": "browser", "route": route, "call_id": call_id})
        failure = GatewaysError("WORKER_RELAY_GATEWAY_URLS is not set, so there is no microphone")
        for url in self._urls:
            try:
                reply = await self._request("POST", f"{url}/stream-tokens", body)
                media = msgspec.json.decode(reply, type=MediaUrl)
            except msgspec.DecodeError:
                failure = GatewaysError("a gateway's response can't be used")
            except GatewaysError as error:
                failure = error
            else:
                return msgspec.structs.replace(media, url=self._reachable(media.url))
        raise failure

    def _reachable(self, url: str) -> str:
        return self._media_url + urlsplit(url).path if self._media_url else url

    async def _request(self, method: str, url: str, body: bytes | None = None) -> bytes:
        try:
            async with self._http.request(
                method, url, data=body, headers=self._headers, timeout=_TIMEOUT
            ) as response:
                if response.status != 200:
                    raise GatewaysError(f"the gateway refused the request ({response.status})")
                return await read_bounded(response, _MAX_BODY)
        except (ClientError, TimeoutError, ValueError) as error:
            raise GatewaysError(f"no gateway answers ({type(error).__name__})") from None
