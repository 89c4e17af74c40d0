"""The bridge's settings: `BRIDGE_<NAME>`."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from common.settings import Port, Url, config


class Settings(BaseSettings):
    """One bridge process's settings."""

    model_config = config("BRIDGE_")

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. In a container set 0.0.0.0, as SageMaker is outside.",
    )
    port: Port = Field(8080, description="Port to listen on. SageMaker's contract requires 8080.")
    engine_url: Url = Field("http://127.0.0.1:8081", description="The engine's base URL.")
    engine_api_key: SecretStr | None = Field(
        None, description="The engine's API key, sent as a bearer token. Default: none."
    )
    # 256 is the default of vLLM's max_num_seqs for most GPUs, and of the CPU engine's.
    max_sessions: PositiveInt = Field(
        256,
        description="Live sessions above which further ones are refused. Set it to the engine's "
        "max_num_seqs: above that, an engine accepts sessions but does not transcribe them.",
    )
    connect_timeout_s: PositiveFloat = Field(
        5, description="Time limit to open a session at the engine."
    )
    drain_timeout_s: PositiveFloat = Field(
        20, description="Time limit from the client's close until the engine is done."
    )
    # SageMaker kills a container 30 s after SIGTERM.
    stop_timeout_s: NonNegativeFloat = Field(
        20,
        description="After SIGTERM, how long live sessions may continue. New ones are refused.",
    )
    health_timeout_s: PositiveFloat = Field(
        1.5,
        description="Time limit of a health request to the engine. SageMaker's ping times out "
        "after 2 s.",
    )
    # If a peer vanishes without a close, its session holds one of the engine's slots until then.
    heartbeat_s: PositiveFloat = Field(
        20,
        description="Interval between pings to either side. A side that does not reply within "
        "half of it is disconnected, as is one that does not read what is sent to it.",
    )
