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
    names: Names = Field(
        ("callscribe",), description="Names of the existing endpoints, comma-separated."
    )
    container_url: Url = Field(
        "http://127.0.0.1:8080", description="Base URL of the model's container."
    )
    cert_dir: Path | None = Field(
        None,
        description="Directory to which ca.pem is written, the CA that clients must trust. "
        "Default: a temporary directory.",
    )
    cert_names: Names = Field(
        ("localhost", "127.0.0.1"), description="Names and addresses in the certificate."
    )
    access_key_id: str = Field(
        min_length=1, description="Access key id of the only accepted client."
    )
    secret_access_key: SecretStr = Field(
        min_length=1, description="Secret access key of that client."
    )
    session_token: SecretStr | None = Field(
        None, description="Session token of that client. Default: none."
    )

    # Limits of the platform. AWS documents no number where the description says so.
    max_connection_s: PositiveFloat = Field(1800, description="Maximum duration of a stream.")
    max_concurrent_streams: PositiveInt = Field(
        128, description="Maximum streams per connection; not documented by AWS."
    )
    accept_timeout_s: PositiveFloat = Field(
        2.5,
        description="Time limit for the container to accept a WebSocket. AWS allows 0.25 s on a "
        "separate machine; here all processes share one.",
    )
    ping_interval_s: PositiveFloat = Field(
        60, description="Interval between pings to the container."
    )
    ping_limit: PositiveInt = Field(
        5, description="Pings without a pong after which the container counts as lost."
    )
    drain_timeout_s: PositiveFloat = Field(
        30,
        description="Time limit for the container's close after the client's half-close; not "
        "documented by AWS.",
    )
