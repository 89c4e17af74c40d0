"""Freed memory goes back to the system."""

import asyncio

import psutil  # type: ignore[import-untyped]  # it has no types
import pytest

from common import memory


async def test_what_was_freed_between_other_blocks_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Symptom: after an outage a gateway stayed larger for good; a soak called it a leak."""
    monkeypatch.setattr(memory, "_EVERY_S", 0.2)
    blocks = [bytes(2600) for _ in range(40_000)]  # 100 MB, of chunks of audio
    kept = blocks[::100]
    before = psutil.Process().memory_info().rss
    del blocks
    async with memory.giving_back():
        await asyncio.sleep(1)
    assert before - psutil.Process().memory_info().rss > 50_000_000
    assert len(kept) == 400
