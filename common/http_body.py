"""Reads the bodies of HTTP requests and responses, up to a limit."""

import asyncio
from typing import Final

from aiohttp import ClientResponse, ClientSession, web

_BLOCK_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = 10.0


async def read_bounded(response: ClientResponse, limit: int) -> bytes:
    """Read a whole response body.

    Raises:
        ValueError: the body is longer than `limit` bytes.
        aiohttp.ClientError: the connection was lost.
    """
    body = bytearray()
    async for block in response.content.iter_chunked(_BLOCK_BYTES):
        body += block
        if len(body) > limit:
            raise ValueError(f"the response is longer than {limit} bytes")
    return bytes(body)


async def fetch(http: ClientSession, url: str, limit: int) -> bytes:
    """Return the body of a successful GET. Redirects are not followed.

    Raises:
        ValueError: the body is longer than `limit` bytes.
        aiohttp.ClientError: the server is unavailable, or its status is not successful.
        TimeoutError: the session's timeout passed.
    """
    async with http.get(url, raise_for_status=True, allow_redirects=False) as response:
        return await read_bounded(response, limit)


async def read_body(request: web.Request) -> bytes:
    """Return a request's body unchanged, because signatures cover its bytes.

    Raises:
        web.HTTPException: 400 if it is malformed, 408 after 10 s, 413 if it is too long.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ValueError, web.RequestPayloadError):
        raise web.HTTPBadRequest from None
