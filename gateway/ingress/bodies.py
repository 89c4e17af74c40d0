"""Requests' bodies, read in bounded time."""

import asyncio
from typing import Final

from aiohttp import web

_TIMEOUT_S: Final = 10.0


async def read_body(request: web.Request) -> bytes:
    """Read a body as it came: signatures are over its bytes.

    Raises:
        web.HTTPException: 400, 408 or 413.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ValueError, web.RequestPayloadError):
        raise web.HTTPBadRequest from None
