"""Compute how many sessions a GPU holds, and how long a context must be. Pure.

Voxtral-Mini-4B-Realtime-2602 in BF16: a decoder of 26 layers with 8 KV heads of 128 and a window of
8192 tokens, and an encoder of 32 layers with 32 heads of 64, 4 positions per token and a window of
750 positions. vLLM allocates both in blocks of 16 MiB: 32 layers (the decoder's are padded), each
with 16 tokens of the encoder (16 * 4 * 32 * 64 * 2 values) or 128 of the decoder (128 * 8 * 128 *
2), and frees blocks outside of the windows. A session therefore stops growing after 8192 tokens,
which are 11 minutes. Sources: the model's configuration in transformers; vLLM's kv_cache_utils and
its pull requests 47071 and 47437. Nothing here was measured on a GPU.
"""

from math import ceil
from typing import Final, NamedTuple

from common.settings import SettingsError

MAX_MODEL_LEN: Final = 45_000  # 60 minutes; AWS's sample starts with it on an L4
GPU_MEMORY_UTILIZATION: Final = 0.9  # as in AWS's sample

_ENCODER_TOKENS: Final = ceil(750 / 4) + 16  # vLLM keeps one block more
_BLOCKS: Final = (ceil(_ENCODER_TOKENS / 16) + 1) + (8192 // 128 + 1)  # one is partly used
SESSION_MIB: Final = 16 * _BLOCKS
_WEIGHTS_MIB: Final = 8488  # 8.9 GB
_WORKSPACE_MIB: Final = 2048  # activations, CUDA graphs and context: an assumption

# Each step of 80 ms reads the weights and, per session, both windows: 8192 * 26 * 8 * 128 * 2 and
# 750 * 32 * 32 * 64 * 2 values of 2 bytes. The rest of a step is for what this leaves out.
_WEIGHTS_GB: Final = 8.9
_WINDOWS_GB: Final = 1.07
_READING_S: Final = 0.6 * 0.080

_TOKENS_PER_S: Final = 12.5
_FIXED_TOKENS: Final = 74  # prompt and final padding at the greatest delay; 50 at 480 ms
# From the gateway's rollover to SageMaker's end of the connection at 30 minutes (300 s), and the
# audio that a gateway may replay to a session at its start (30 s).
_MARGIN_S: Final = 330.0


class Gpu(NamedTuple):
    """A GPU: its memory as nvidia-smi reports it, and the bandwidth of its data sheet."""

    name: str
    memory_mib: int
    bandwidth_gb_s: int


# The GPUs of SageMaker's instance families; an instance has one or several of them.
GPUS: Final = {
    "g5": Gpu("A10G", 23_028, 600),
    "g6": Gpu("L4", 23_034, 300),
    "g6e": Gpu("L40S", 46_068, 864),
    "p4d": Gpu("A100 40 GB", 40_960, 1555),
    "p4de": Gpu("A100 80 GB", 81_920, 2039),
    "p5": Gpu("H100", 81_559, 3350),
    "p5e": Gpu("H200", 143_771, 4800),
    "p5en": Gpu("H200", 143_771, 4800),
}
_TOLERANCE: Final = 0.02  # of the memory, which depends on the driver and on ECC


def gpu_of(instance_type: str) -> Gpu:
    """Return the GPU of an instance type, such as ml.g6.4xlarge.

    Raises:
        SettingsError: the instance family is not known.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    if family not in GPUS:
        known = ", ".join(GPUS)
        raise SettingsError(
            f"ENTRYPOINT_INSTANCE_TYPE: unknown family {family}; known are {known}. "
            "Set SM_VLLM_MAX_NUM_SEQS"
        )
    return GPUS[family]


def gpu_with(memory_mib: int) -> Gpu:
    """Return the GPU with this much memory; of several, the one with the lowest bandwidth.

    Raises:
        SettingsError: no known GPU has it.
    """
    alike = [
        gpu
        for gpu in GPUS.values()
        if abs(gpu.memory_mib - memory_mib) <= gpu.memory_mib * _TOLERANCE
    ]
    if not alike:
        raise SettingsError(
            f"no known GPU has {memory_mib} MiB; set ENTRYPOINT_INSTANCE_TYPE or "
            "SM_VLLM_MAX_NUM_SEQS"
        )
    return min(alike, key=lambda gpu: gpu.bandwidth_gb_s)


def fitting(gpu: Gpu, utilization: float = GPU_MEMORY_UTILIZATION) -> int:
    """Return how many sessions fit into the memory that vLLM may use, however old they are."""
    free_mib = gpu.memory_mib * utilization - _WEIGHTS_MIB - _WORKSPACE_MIB
    return int(free_mib // SESSION_MIB)


def readable(gpu: Gpu) -> int:
    """Return for how many sessions the GPU can read weights and windows in time."""
    return int((gpu.bandwidth_gb_s * _READING_S - _WEIGHTS_GB) // _WINDOWS_GB)


def sessions_on(gpu: Gpu, utilization: float = GPU_MEMORY_UTILIZATION) -> int:
    """Return the number of sessions for a GPU.

    Raises:
        SettingsError: not even one fits.
    """
    sessions = min(fitting(gpu, utilization), readable(gpu))
    if sessions < 1:
        raise SettingsError(
            f"SM_VLLM_GPU_MEMORY_UTILIZATION: no session fits into {utilization:.0%} of the "
            f"{gpu.name}"
        )
    return sessions


def least_model_len(rollover_hard_s: float) -> int:
    """Return the shortest context that no session fills before it is replaced."""
    return ceil((rollover_hard_s + _MARGIN_S) * _TOKENS_PER_S) + _FIXED_TOKENS
