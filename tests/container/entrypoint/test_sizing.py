"""Sessions per GPU and the length of the context."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings import SettingsError
from container.cpu.clock import RATE_HZ, TokenClock
from container.entrypoint.settings import Settings
from container.entrypoint.sizing import (
    GPUS,
    MAX_MODEL_LEN,
    SESSION_MIB,
    least_model_len,
    memory_of,
    sessions_in,
)

PAGE = Path(__file__).resolve().parents[3] / "docs/container.md"


def test_arithmetic_of_the_page() -> None:
    assert SESSION_MIB == (48 + 65) * 16 == 1808
    assert least_model_len(1500) == 22_875 + 74


def test_page_lists_each_family_with_its_sessions() -> None:
    rows = re.findall(r"^\| (\S+) \| (.+?) \| ([\d,]+) \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [
        (family, gpu.name, f"{gpu.memory_mib:,}", str(sessions_in(gpu.memory_mib)))
        for family, gpu in GPUS.items()
    ]


@given(
    delay_ms=st.sampled_from([*range(80, 1201, 80), 2400]),
    hard_s=st.integers(60, 7200),
)
def test_no_session_fills_the_least_context(delay_ms: int, hard_s: int) -> None:
    """The session ends 300 s after its rollover was due, and began with a replay of 30 s."""
    clock = TokenClock(delay_ms)
    tokens = clock.prompt_tokens + clock.total((hard_s + 330) * RATE_HZ)
    assert tokens <= least_model_len(hard_s) <= tokens + 30


def test_default_context_holds_the_default_rollover() -> None:
    assert least_model_len(Settings().rollover_hard_s) < MAX_MODEL_LEN


@pytest.mark.parametrize(
    ("instance", "memory_mib"), [("ml.g6.4xlarge", 23_034), ("g6e.xlarge", 46_068)]
)
def test_memory_is_that_of_the_family(instance: str, memory_mib: int) -> None:
    assert memory_of(instance) == memory_mib


def test_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="unknown family t3; known are g5, g6"):
        memory_of("ml.t3.large")


@given(memory_mib=st.integers(16_000, 400_000), share=st.floats(0.8, 1))
def test_sessions_fit_beside_weights_and_workspace(memory_mib: int, share: float) -> None:
    sessions = sessions_in(memory_mib, share)
    used_mib = 8488 + 2048 + sessions * SESSION_MIB
    assert sessions >= 1
    assert used_mib <= memory_mib * share < used_mib + SESSION_MIB


def test_gpu_too_small_for_one_session_is_refused() -> None:
    with pytest.raises(SettingsError, match="too small: 12288 MiB"):
        sessions_in(12_288)
