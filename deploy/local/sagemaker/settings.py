"""The endpoint's settings: `ENDPOINT_<NAME>`."""

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from common.settings import Names, Port, Url, config


class Settings(BaseSettings):
    """One endpoint process's settings."""

    model_config = config("ENDPOINT_")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8443, description="Port to listen on.")
    names: Names = Field(("callscribe",), description="Endpoints that exist, comma-separated.")
    container_url: Url = Field(
        "http://127.0.0.1:8080", description="The model's container, where SageMaker sees it."
    )
    cert_dir: Path | None = Field(
        None,
        description="Where ca.pem, the CA of this process's certificate, is written for clients. "
        "Default: a temporary directory.",
    )
    cert_names: Names = Field(
        ("localhost", "127.0.0.1"), description="Names and addresses the certificate is for."
    )
    access_key_id: str = Field(min_length=1, description="The identity that is let in.")
    secret_access_key: SecretStr = Field(min_length=1, description="Its secret.")
    session_token: SecretStr | None = Field(None, description="Its session token, if it has one.")

    # What the platform promises; no number of AWS's is known where it says "ours".
    max_connection_s: PositiveFloat = Field(1800, description="A stream's longest life.")
    max_concurrent_streams: PositiveInt = Field(128, description="Per connection; ours.")
    accept_timeout_s: PositiveFloat = Field(
        2.5,
        description="For the container to accept a socket. AWS says 0.25, on a machine of its own; "
        "here everything runs on one.",
    )
    ping_interval_s: PositiveFloat = Field(60, description="Between pings to the container.")
    ping_limit: PositiveInt = Field(5, description="Pings without a pong before it counts as dead.")
    drain_timeout_s: PositiveFloat = Field(
        30, description="For the container's close after the client's half-close; ours."
    )
