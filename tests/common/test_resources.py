"""Freed memory is returned to the system."""

import asyncio

import psutil  # type: ignore[import-untyped]  # it has no types
import pytest

from common import resources


async def test_fragmented_memory_is_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Symptom: a gateway stayed larger after an outage; a soak test reported a leak."""
    monkeypatch.setattr(resources, "_TRIM_EVERY_S", 0.2)
    blocks = [bytes(2600) for _ in range(40_000)]  # 100 MB, of chunks of audio
    kept = blocks[::100]
    before = psutil.Process().memory_info().rss
    del blocks
    async with resources.returning_memory():
        await asyncio.sleep(1)
    assert before - psutil.Process().memory_info().rss > 50_000_000
    assert len(kept) == 400
