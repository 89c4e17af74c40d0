"""Build vLLM's command and environment from the container's. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from common.settings import SettingsError
from container.entrypoint.flags import PREFIX, flags_of
from container.entrypoint.sizing import (
    GPU_MEMORY_UTILIZATION,
    MAX_MODEL_LEN,
    Gpu,
    least_model_len,
    sessions_on,
)

MODEL: Final = "mistralai/Voxtral-Mini-4B-Realtime-2602"
_DEFAULTS: Final = {
    "SERVED_MODEL_NAME": MODEL,  # otherwise clients must select the path of the weights
    "TOKENIZER_MODE": "mistral",
    "COMPILATION_CONFIG": '{"cudagraph_mode":"PIECEWISE"}',  # vLLM asserts it for this model
    "MAX_MODEL_LEN": str(MAX_MODEL_LEN),
    "GPU_MEMORY_UTILIZATION": str(GPU_MEMORY_UTILIZATION),
}
_RESERVED: Final = ("HOST", "PORT", "UDS", "SSL_CERTFILE", "SSL_KEYFILE")
# A command line is visible in logs and process lists. vLLM reads these from its environment, too.
_SECRETS: Final = {"API_KEY": "VLLM_API_KEY", "HF_TOKEN": "HF_TOKEN"}
_RUST: Final = "VLLM_USE_RUST_FRONTEND"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and the environment to run it in."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)


def vllm_values(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `SM_VLLM_…` variables without the prefix; empty ones do not replace defaults.

    Names are normalized, so that no spelling of a flag avoids a check.
    """
    named = {
        name.removeprefix(PREFIX).upper().replace("-", "_"): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    defaulted = {*_DEFAULTS, *_SECRETS, "MODEL", "MAX_NUM_SEQS"}
    return {name: value for name, value in named.items() if value.strip() or name not in defaulted}


def engine_command(
    environment: Mapping[str, str],
    *,
    port: int,
    rollover_hard_s: float,
    weights: str | None,
    gpu: Gpu | None,
) -> Command:
    """Build the command that starts vLLM.

    Args:
        environment: the container's.
        port: to listen on, on loopback.
        rollover_hard_s: age at which gateways replace a session, in seconds.
        weights: the folder that contains the model, if there is one.
        gpu: that the engine uses; needed unless SM_VLLM_MAX_NUM_SEQS is set.

    Raises:
        SettingsError: a variable is not allowed, or its value would crash or block the engine.
    """
    values = vllm_values(environment)
    _check(environment, values)
    model = values.pop("MODEL", None) or weights or environment.get("HF_MODEL_ID") or MODEL
    secrets = {_SECRETS[name]: values.pop(name) for name in _SECRETS if name in values}
    values = _DEFAULTS | values
    _check_context(values["MAX_MODEL_LEN"], least_model_len(rollover_hard_s))
    if "MAX_NUM_SEQS" not in values:
        values["MAX_NUM_SEQS"] = str(_sessions(gpu, values["GPU_MEMORY_UTILIZATION"]))
    if not re.fullmatch("[1-9][0-9]{0,5}", values["MAX_NUM_SEQS"]):
        raise SettingsError(f"{PREFIX}MAX_NUM_SEQS: must be a number of sessions, in digits")
    listen = ("--host", "127.0.0.1", "--port", str(port))
    defaults = {"VLLM_DISABLE_COMPILE_CACHE": "1"}  # Mistral's recipe for this model
    return Command(
        ("vllm", "serve", model, *listen, *flags_of(values)),
        {**defaults, **environment, **secrets, _RUST: "0"},
    )


def _check(environment: Mapping[str, str], values: Mapping[str, str]) -> None:
    if taken := [PREFIX + name for name in _RESERVED if name in values]:
        raise SettingsError(f"{taken[0]}: remove it; the bridge connects to vLLM on loopback")
    if environment.get(_RUST, "").strip().lower() not in {"", "0", "false"}:
        raise SettingsError(f"{_RUST}: remove it; vLLM's Rust front end can't serve this model")


def _check_context(value: str, least: int) -> None:
    if not value.isascii() or not value.isdigit():
        raise SettingsError(f"{PREFIX}MAX_MODEL_LEN: must be a number of tokens, in digits")
    if int(value) < least:
        raise SettingsError(
            f"{PREFIX}MAX_MODEL_LEN: must be at least {least}, so that no session fills its "
            "context before ENTRYPOINT_ROLLOVER_HARD_S"
        )


def _sessions(gpu: Gpu | None, utilization: str) -> int:
    if gpu is None:
        raise SettingsError(
            "nvidia-smi reports no GPU; set ENTRYPOINT_INSTANCE_TYPE or SM_VLLM_MAX_NUM_SEQS"
        )
    try:
        share = float(utilization)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise SettingsError(f"{PREFIX}GPU_MEMORY_UTILIZATION: must be above 0 and at most 1")
    return sessions_on(gpu, share)
