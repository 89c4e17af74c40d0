"""The whole way of erased calls, with real processes; `story.py` has it in any size."""

from pathlib import Path

from tests.workers.governance.story import tell


async def test_erased_calls_stay_erased_whatever_crashes_or_comes_back(tmp_path: Path) -> None:
    await tell(tmp_path, calls=12, erased=4, kills=1)
