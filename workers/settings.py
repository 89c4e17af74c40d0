"""The workers' settings: `WORKER_<NAME>`."""

import os
import socket

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from common.settings import Port, config


class Settings(BaseSettings):
    """One worker process's settings."""

    model_config = config("WORKER_", env_file=".env")

    id: str = Field(
        default_factory=lambda: f"janitor-{socket.gethostname()}-{os.getpid()}",
        max_length=128,
        description="The name in the events it writes. Default: janitor, host name, process id.",
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="As GATEWAY_REDIS_URL; secret, because it may hold a password.",
    )
    partitions: int = Field(64, ge=1, le=9999, description="As GATEWAY_PARTITIONS.")
    retention_s: PositiveInt = Field(86_400, description="As GATEWAY_RETENTION_S, in seconds.")
    lease_s: PositiveFloat = Field(
        30,
        description="As GATEWAY_LEASE_S, in seconds; of several, the longest. So long the janitor "
        "watches before it declares a stream lost: gateways must have had time to renew.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Addresses of /metrics and /healthz, comma-separated; :: is IPv4 and IPv6.",
    )
    metrics_port: Port = Field(9100, description="Port of /metrics and /healthz.")
