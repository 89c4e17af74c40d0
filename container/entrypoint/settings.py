"""The entrypoint's settings: `ENTRYPOINT_<NAME>`. vLLM's are `SM_VLLM_<FLAG>` (flags.py)."""

from pydantic import Field, PositiveFloat
from pydantic_settings import BaseSettings

from common.settings import Port, config


class Settings(BaseSettings):
    """The settings of one model container."""

    model_config = config("ENTRYPOINT_")

    instance_type: str | None = Field(
        None,
        description="SageMaker's instance type, such as ml.g6e.2xlarge, which determines the "
        "default of SM_VLLM_MAX_NUM_SEQS. Default: the GPU's memory determines it.",
    )
    rollover_hard_s: PositiveFloat = Field(
        1500,
        description="GATEWAY_ROLLOVER_HARD_S of the gateways. A context that a session could fill "
        "before prevents startup, because vLLM up to 0.31 crashes at a full context.",
    )
    engine_port: Port = Field(8081, ge=1, description="Port of vLLM, on loopback.")
    start_timeout_s: PositiveFloat = Field(
        3600,
        description="Time until vLLM must be ready, in seconds. The default is SageMaker's "
        "maximum.",
    )
    stop_timeout_s: PositiveFloat = Field(
        25,
        description="Time from SIGTERM until bridge and vLLM are killed, in seconds. SageMaker "
        "kills the container after 30.",
    )
