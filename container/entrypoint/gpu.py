"""Request the GPU's memory from nvidia-smi."""

import asyncio
from typing import Final

_QUERY: Final = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
_TIMEOUT_S: Final = 30.0  # the first call loads the driver


async def memory_mib() -> int | None:
    """Return the memory of the smallest GPU in MiB; None if there is none or it can't be read."""
    try:
        process = await asyncio.create_subprocess_exec(*_QUERY, stdout=asyncio.subprocess.PIPE)
    except OSError:
        return None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
    sizes = [int(line) for line in output.decode().split() if line.isdigit()]
    return min(sizes) if sizes and not process.returncode else None
