"""Returns freed memory to the operating system."""

import asyncio
import contextlib
import ctypes
from collections.abc import AsyncIterator
from typing import Final

_EVERY_S: Final = 60.0


@contextlib.asynccontextmanager
async def returning_memory() -> AsyncIterator[None]:
    """Return freed memory to the system once a minute for as long as the context lasts.

    glibc keeps freed memory that lies between blocks in use. After an outage, during which audio
    and events were buffered, a gateway measured 146 MB, and 126 MB after a trim. With other C
    libraries nothing is done.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        yield
        return

    async def run() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await asyncio.to_thread(trim, 0)  # takes a few milliseconds; ctypes releases the GIL

    task = asyncio.create_task(run(), name="memory")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
