"""vLLM's command and environment."""

from pathlib import Path

import pytest

from common.settings import SettingsError
from container.entrypoint.__main__ import weights_in
from container.entrypoint.engine import MODEL, Command, engine_command
from container.entrypoint.sizing import GPUS

ON_L4 = {"weights": None, "gpu": GPUS["g6"]}


def command(variables: dict[str, str], **others: object) -> Command:
    options: dict[str, object] = {**ON_L4, **others}
    return engine_command(variables, port=8081, rollover_hard_s=1500, **options)  # type: ignore[arg-type]


def test_defaults() -> None:
    assert command({}).words == (
        *("vllm", "serve", MODEL, "--host", "127.0.0.1", "--port", "8081"),
        *("--compilation-config", '{"cudagraph_mode":"PIECEWISE"}'),
        *("--gpu-memory-utilization", "0.9", "--max-model-len", "45000", "--max-num-seqs", "5"),
        *("--served-model-name", MODEL, "--tokenizer-mode", "mistral"),
    )


def test_each_default_can_be_replaced() -> None:
    variables = {
        "SM_VLLM_COMPILATION_CONFIG": "{}",
        "SM_VLLM_GPU_MEMORY_UTILIZATION": "0.8",
        "SM_VLLM_MAX_MODEL_LEN": "22949",
        "SM_VLLM_MAX_NUM_SEQS": "2",
        "SM_VLLM_SERVED_MODEL_NAME": "voxtral",
        "SM_VLLM_TOKENIZER_MODE": "auto",
        "SM_VLLM_DTYPE": "auto",
    }
    words = command(variables, gpu=None).words
    assert words[7:] == (
        *("--compilation-config", "{}", "--dtype", "auto", "--gpu-memory-utilization", "0.8"),
        *("--max-model-len", "22949", "--max-num-seqs", "2", "--served-model-name", "voxtral"),
        *("--tokenizer-mode", "auto"),
    )


def test_empty_variable_keeps_its_default() -> None:
    """Compose files and templates pass unset variables as empty ones."""
    names = ("MODEL", "MAX_MODEL_LEN", "MAX_NUM_SEQS", "SERVED_MODEL_NAME", "API_KEY")
    assert command({f"SM_VLLM_{name}": "" for name in names}).words == command({}).words


@pytest.mark.parametrize(
    ("variables", "weights", "model"),
    [
        ({"SM_VLLM_MODEL": "org/a", "HF_MODEL_ID": "org/b"}, "/opt/ml/model", "org/a"),
        ({"HF_MODEL_ID": "org/b"}, "/opt/ml/model", "/opt/ml/model"),
        ({"HF_MODEL_ID": "org/b"}, None, "org/b"),
        ({}, None, MODEL),
    ],
)
def test_model_is_the_first_that_is_given(
    variables: dict[str, str], weights: str | None, model: str
) -> None:
    words = command(variables, weights=weights).words
    assert words[2] == model
    assert words[words.index("--served-model-name") + 1] == MODEL


def test_folder_of_weights_is_used_if_it_contains_anything(tmp_path: Path) -> None:
    assert weights_in(tmp_path / "none") is None
    assert weights_in(tmp_path) is None
    (tmp_path / "params.json").touch()
    assert weights_in(tmp_path) == str(tmp_path)


def test_utilization_decides_the_number_of_sessions() -> None:
    words = command({"SM_VLLM_GPU_MEMORY_UTILIZATION": "0.65"}).words
    assert words[words.index("--max-num-seqs") + 1] == "3"


def test_secrets_are_in_the_environment_and_not_in_the_command() -> None:
    secret = command({"SM_VLLM_API_KEY": "s3cret", "SM_VLLM_HF_TOKEN": "hf_s3cret"})
    assert "s3cret" not in str(secret)
    assert secret.environment["VLLM_API_KEY"] == "s3cret"
    assert secret.environment["HF_TOKEN"] == "hf_s3cret"


def test_environment_is_passed_on() -> None:
    passed = command({"HF_HOME": "/tmp/hf", "VLLM_DISABLE_COMPILE_CACHE": "0"}).environment  # noqa: S108
    assert passed["HF_HOME"] == "/tmp/hf"  # noqa: S108
    assert passed["VLLM_DISABLE_COMPILE_CACHE"] == "0"
    assert passed["VLLM_USE_RUST_FRONTEND"] == "0"
    assert command({}).environment["VLLM_DISABLE_COMPILE_CACHE"] == "1"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SM_VLLM_PORT": "8080"}, "SM_VLLM_PORT: remove it"),
        ({"SM_VLLM_HOST": "0.0.0.0"}, "SM_VLLM_HOST: remove it"),  # noqa: S104
        ({"SM_VLLM_UDS": "/x"}, "SM_VLLM_UDS: remove it"),
        ({"SM_VLLM_SSL_KEYFILE": "/x"}, "SM_VLLM_SSL_KEYFILE: remove it"),
        ({"VLLM_USE_RUST_FRONTEND": "1"}, "VLLM_USE_RUST_FRONTEND: remove it"),
        ({"SM_VLLM_MAX_MODEL_LEN": "22948"}, "must be at least 22949"),
        ({"SM_VLLM_max-model_len": "22948"}, "must be at least 22949"),
        ({"SM_VLLM_MAX_MODEL_LEN": "45k"}, "in digits"),
        ({"SM_VLLM_MAX_MODEL_LEN": "-1"}, "in digits"),
        ({"SM_VLLM_MAX_MODEL_LEN": "\u0664\u0665000"}, "in digits"),
        ({"SM_VLLM_GPU_MEMORY_UTILIZATION": "90%"}, "above 0 and at most 1"),
        ({"SM_VLLM_GPU_MEMORY_UTILIZATION": "nan"}, "above 0 and at most 1"),
    ],
)
def test_value_that_would_break_the_engine_is_refused(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        command(variables)


def test_unknown_gpu_is_refused_unless_the_number_of_sessions_is_set() -> None:
    with pytest.raises(SettingsError, match="nvidia-smi reports no GPU"):
        command({}, gpu=None)
    assert "--max-num-seqs" in command({"SM_VLLM_MAX_NUM_SEQS": "1"}, gpu=None).words
