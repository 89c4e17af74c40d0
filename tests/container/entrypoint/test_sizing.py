"""Sessions per GPU and the length of the context."""

import math
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
    Gpu,
    fitting,
    gpu_of,
    gpu_with,
    least_model_len,
    readable,
    sessions_on,
)

PAGE = Path(__file__).resolve().parents[3] / "docs/container.md"


def test_arithmetic_of_the_page() -> None:
    assert SESSION_MIB == (14 + 65) * 16 == 1264
    assert least_model_len(1500) == 22_875 + 74


def test_page_lists_each_family_with_its_sessions() -> None:
    page = PAGE.read_text().replace(",", "")
    row = r"^\| (\S+) \| (.+?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$"
    rows = [
        (family, name, *map(int, numbers))
        for family, name, *numbers in re.findall(row, page, re.MULTILINE)
    ]
    assert rows == [
        (family, *gpu, fitting(gpu), readable(gpu), sessions_on(gpu))
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


@pytest.mark.parametrize(("instance", "name"), [("ml.g6.4xlarge", "L4"), ("g6e.xlarge", "L40S")])
def test_gpu_is_that_of_the_family(instance: str, name: str) -> None:
    assert gpu_of(instance).name == name


def test_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="unknown family t3; known are g5, g6"):
        gpu_of("ml.t3.large")


@pytest.mark.parametrize(
    ("memory_mib", "name"),
    [(22_731, "L4"), (23_028, "L4"), (46_068, "L40S"), (81_559, "A100 80 GB"), (143_771, "H200")],
)
def test_slowest_gpu_with_the_memory_is_assumed(memory_mib: int, name: str) -> None:
    assert gpu_with(memory_mib).name == name


@pytest.mark.parametrize("memory_mib", [0, 15_360, 24_564, 183_359])
def test_unknown_memory_is_refused(memory_mib: int) -> None:
    with pytest.raises(SettingsError, match=f"no known GPU has {memory_mib} MiB"):
        gpu_with(memory_mib)


@given(gpu=st.sampled_from(sorted(GPUS.values())), share=st.floats(0.6, 1))
def test_sessions_fit_beside_weights_and_workspace(gpu: Gpu, share: float) -> None:
    used_mib = 8488 + 2048 + fitting(gpu, share) * SESSION_MIB
    assert used_mib <= gpu.memory_mib * share < used_mib + SESSION_MIB


def test_share_too_small_for_one_session_is_refused() -> None:
    with pytest.raises(SettingsError, match="no session fits into 50% of the L4"):
        sessions_on(GPUS["g6"], 0.5)


def test_table_of_sizes_follows_from_its_assumptions() -> None:
    """docs/deploy.md, "Sizes"."""
    page = (Path(__file__).resolve().parents[3] / "docs/deploy.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.M)
    assert len(rows) == 4
    for agents, sessions, gateways, *instances in (list(map(int, row)) for row in rows):
        assert sessions == 2 * agents
        assert gateways == math.ceil(agents / 30) + 1
        assert instances == [
            math.ceil(sessions / (0.9 * sessions_on(GPUS[family])))
            for family in ("g6", "g6e", "p5")
        ]
