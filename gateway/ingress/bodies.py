"""Reads request bodies in bounded time."""

import asyncio
from typing import Final

from aiohttp import web

_TIMEOUT_S: Final = 10.0


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
