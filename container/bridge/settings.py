"""The bridge's settings: `BRIDGE_<NAME>`."""

from pydantic import Field, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings

from common.settings import Port, Url, config


class Settings(BaseSettings):
    """One bridge process's settings."""

    model_config = config("BRIDGE_")

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; in a container 0.0.0.0: SageMaker is outside.",
    )
    port: Port = Field(8080, description="SageMaker's contract says 8080.")
    engine_url: Url = Field("http://127.0.0.1:8081", description="The engine's root.")
    engine_api_key: SecretStr | None = Field(
        None, description="The engine's API key, sent as a bearer token. Default: none."
    )
    connect_timeout_s: PositiveFloat = Field(5, description="To open a session at the engine.")
    drain_timeout_s: PositiveFloat = Field(
        20, description="From the client's close until the engine is done."
    )
    health_timeout_s: PositiveFloat = Field(
        1.5, description="For the engine's health; SageMaker gives a ping 2 s."
    )
    # A session whose other side vanished without a word holds one of the engine's slots until then.
    heartbeat_s: PositiveFloat = Field(
        20, description="Between pings to either side; half of it without a pong is the end."
    )
