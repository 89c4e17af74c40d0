"""The workers' settings: `WORKER_<NAME>`."""

import os
import socket
from enum import StrEnum

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from common.settings import Port, config


class Texts(StrEnum):
    """Which text a worker reads."""

    REDACTED = "redacted"
    RAW = "raw"
    BOTH = "both"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of text."""
        return ("raw", "redacted") if self is Texts.BOTH else (self.value,)


class Settings(BaseSettings):
    """The settings of one worker process."""

    model_config = config("WORKER_", env_file=".env")

    id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        max_length=128,
        description="The worker's name, unique among the running ones. Default: host name and "
        "process id.",
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Same as GATEWAY_REDIS_URL. Secret, because it may contain a password.",
    )
    partitions: int = Field(64, ge=1, le=9999, description="Same as GATEWAY_PARTITIONS.")
    retention_s: PositiveInt = Field(86_400, description="Same as GATEWAY_RETENTION_S, in seconds.")
    lease_s: PositiveFloat = Field(
        30,
        description="The longest GATEWAY_LEASE_S of all gateways, in seconds. The janitor watches "
        "for this time before it declares a stream lost, so that gateways can renew their leases.",
    )
    takeover_s: PositiveFloat = Field(
        10,
        description="How long a worker that crashed, or was cut off from Redis, keeps its share of "
        "the calls before another one of its group takes over, in seconds.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Addresses of /metrics and /healthz, comma-separated. :: is all addresses, "
        "IPv4 and IPv6.",
    )
    metrics_port: Port = Field(9100, description="Port of /metrics and /healthz.")
