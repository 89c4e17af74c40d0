"""Reads the bodies of HTTP responses up to a limit."""

from typing import Final

from aiohttp import ClientResponse

_BLOCK_BYTES: Final = 1 << 16


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
