"""Reading what a server answers, up to a bound."""

from typing import Final

from aiohttp import ClientResponse

_BLOCK_BYTES: Final = 1 << 16


async def read_bounded(response: ClientResponse, limit: int) -> bytes:
    """Read a whole body, however it is cut on its way.

    Raises:
        ValueError: it is longer than `limit` bytes.
        aiohttp.ClientError: the server broke off.
    """
    body = bytearray()
    async for block in response.content.iter_chunked(_BLOCK_BYTES):
        body += block
        if len(body) > limit:
            raise ValueError(f"the answer is longer than {limit} bytes")
    return bytes(body)
