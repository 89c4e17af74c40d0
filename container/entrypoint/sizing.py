"""Compute how many sessions a GPU holds, and how long a context must be. Pure.

Voxtral-Mini-4B-Realtime-2602 in BF16: a decoder of 26 layers with 8 KV heads of 128 and a window of
8192 tokens, and an encoder of 32 layers with 32 heads of 64, 4 positions per token and a window of
750. vLLM allocates both in blocks of one size: 32 layers (the decoder's are padded), each with 16
tokens of the encoder (16 * 4 * 32 * 64 * 2 values) or 128 of the decoder (128 * 8 * 128 * 2), which
is 16 MiB. It applies the encoder's window to tokens, not to positions. A session therefore stops
growing after 8192 tokens, which are 11 minutes. Sources: the model's configuration in transformers;
vllm/v1/core/kv_cache_utils.py and vllm/model_executor/models/whisper_causal.py. Nothing here was
measured on a GPU.
"""

from math import ceil
from typing import Final, NamedTuple

from common.settings import SettingsError

MAX_MODEL_LEN: Final = 45_000  # 60 minutes; AWS's sample starts with it on an L4
GPU_MEMORY_UTILIZATION: Final = 0.9  # the default of AWS's sample

_BLOCK_MIB: Final = 16
_BLOCKS: Final = (ceil(750 / 16) + 1) + (ceil(8192 / 128) + 1)  # one is partly outside the window
SESSION_MIB: Final = _BLOCKS * _BLOCK_MIB
_WEIGHTS_MIB: Final = 8488  # 8.9 GB
_WORKSPACE_MIB: Final = 2048  # activations, CUDA graphs and context: an assumption

_TOKENS_PER_S: Final = 12.5
_FIXED_TOKENS: Final = 74  # prompt and final padding at the greatest delay; 50 at 480 ms
# From the gateway's rollover to SageMaker's end of the connection at 30 minutes (300 s), and the
# audio that a gateway may replay to a session at its start (30 s).
_MARGIN_S: Final = 330.0


class Gpu(NamedTuple):
    """A GPU and its memory, as nvidia-smi reports it."""

    name: str
    memory_mib: int


# The GPUs of SageMaker's instance families, each of which may hold one or several of them.
GPUS: Final = {
    "g5": Gpu("A10G", 23_028),
    "g6": Gpu("L4", 23_034),
    "g6e": Gpu("L40S", 46_068),
    "p4d": Gpu("A100 40 GB", 40_960),
    "p4de": Gpu("A100 80 GB", 81_920),
    "p5": Gpu("H100", 81_559),
    "p5e": Gpu("H200", 143_771),
    "p5en": Gpu("H200", 143_771),
}


def memory_of(instance_type: str) -> int:
    """Return the memory in MiB of one GPU of an instance type, such as ml.g6.4xlarge.

    Raises:
        SettingsError: the instance family is not known.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    if family not in GPUS:
        known = ", ".join(GPUS)
        raise SettingsError(
            f"ENTRYPOINT_INSTANCE_TYPE: unknown family {family}; known are {known}. "
            "Remove it to use the GPU's memory, or set SM_VLLM_MAX_NUM_SEQS"
        )
    return GPUS[family].memory_mib


def sessions_in(memory_mib: int, utilization: float = GPU_MEMORY_UTILIZATION) -> int:
    """Return how many sessions fit into a GPU, however long each of them is.

    Raises:
        SettingsError: not even one fits.
    """
    free_mib = memory_mib * utilization - _WEIGHTS_MIB - _WORKSPACE_MIB
    if free_mib < SESSION_MIB:
        raise SettingsError(
            f"the GPU is too small: {memory_mib} MiB, of which vLLM may use {utilization:.0%}. "
            "Use a larger one, or set SM_VLLM_MAX_NUM_SEQS"
        )
    return int(free_mib // SESSION_MIB)


def least_model_len(rollover_hard_s: float) -> int:
    """Return the shortest context that no session fills before it is replaced."""
    return ceil((rollover_hard_s + _MARGIN_S) * _TOKENS_PER_S) + _FIXED_TOKENS
