"""The gateway's settings: `GATEWAY_<NAME>`, and the AWS SDK's own `AWS_REGION`.

Read once from the environment or `.env`, and validated before listening.
"""

import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, WebsocketUrl, model_validator
from pydantic_settings import BaseSettings

from common.settings import Names, Port, Url, config, matching

_PUBLIC_URL: Final = "must have no query, no fragment and no user name"


class Upstream(StrEnum):
    """What carries a session to the model."""

    SAGEMAKER = "sagemaker"
    WEBSOCKET = "websocket"


class Role(StrEnum):
    """Who speaks on a track."""

    CUSTOMER = "customer"
    AGENT = "agent"
    MIX = "mix"
    UNKNOWN = "unknown"


class Settings(BaseSettings):
    """One gateway process's settings."""

    model_config = config("GATEWAY_", env_file=".env")
    sections: ClassVar = {
        "host": "SessionHost",
        "redis_url": "Redis",
        "upstream": "The model",
        "endpoint_instances": "Places for sessions",
        "start_timeout_s": "Sessions and segments",
        "idle_timeout_s": "How streams end",
        "admin_tokens": "The admin API, on the private port",
        "inbound_role": "Who speaks",
    }

    # SessionHost. Loopback unless opened: the images open both.
    host: str = Field(
        "127.0.0.1",
        description="Addresses of the public port, comma-separated; :: is all "
        "of this host, IPv4 and IPv6.",
    )
    port: Port = Field(8000, description="Public port: webhooks and media sockets.")
    admin_host: str = Field("127.0.0.1", description="Addresses of the private port, likewise.")
    admin_port: Port = Field(9000, description="Private port: /metrics, /healthz, /readyz.")
    public_url: Annotated[Url, matching(r"[^?#@]*", _PUBLIC_URL)] = Field(
        description="What carriers call us, https://host[:port][/prefix]: they sign this, not what "
        "a proxy made of it. A proxy must take the prefix off again."
    )
    id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        max_length=128,
        description="This gateway's name in every event. Default: host name and process id.",
    )
    secrets_dir: Path | None = Field(
        None,
        description="Folder with a file for each secret, named as its variable, as Docker and "
        "Kubernetes mount them. Those of carriers are read again at SIGHUP.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Our logs.")
    max_calls: PositiveInt = Field(
        200, description="Media streams at once; more are refused with 503 before the upgrade."
    )
    overload_cpu: PositiveFloat = Field(
        0.85,
        description="Share of a core at which new calls get 503, so that live calls' words are "
        "not late. More than 1 disables the limit.",
    )
    overload_lag_ms: PositiveInt = Field(
        100, description="Lag of the event loop (median of 2 s) at which new calls get 503, in ms."
    )

    # Redis
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://, redis+cluster:// or redis+sentinel://, or rediss for TLS, as "
        "docs/redis.md says; secret, because it may hold a password.",
    )
    partitions: int = Field(
        64, ge=1, le=9999, description="Partitions of the event streams; fixed at installation."
    )
    retention_s: PositiveInt = Field(86_400, description="Events are kept this long, in seconds.")
    lease_s: PositiveInt = Field(
        30, description="A live stream's lease in `live`, in seconds; a gateway that died loses it."
    )
    spool_dir: Path | None = Field(
        None,
        description="Folder of the files that keep events while Redis is away. Default: a private "
        "one in the system's folder for temporary files.",
    )
    spool_max_mb: PositiveInt = Field(1024, description="Their greatest size together, in MiB.")

    # The model
    upstream: Upstream = Field(Upstream.SAGEMAKER, description="sagemaker or websocket.")
    sagemaker_endpoint: str | None = Field(None, description="Endpoint name. Needed for sagemaker.")
    sagemaker_variant: str | None = Field(None, max_length=63, description="Production variant.")
    sagemaker_url: Url | None = Field(
        None, description="Instead of https://runtime.sagemaker.<region>.amazonaws.com:8443."
    )
    sagemaker_ca_file: Path | None = Field(
        None, description="PEM of a private CA to trust instead of the system's."
    )
    aws_region: str | None = Field(
        None, validation_alias="AWS_REGION", description="Needed for sagemaker."
    )
    realtime_url: WebsocketUrl | None = Field(
        None, description="ws(s)://host/v1/realtime of a vLLM server. Needed for websocket."
    )
    realtime_api_key: SecretStr | None = Field(None, description="That server's API key.")
    model: str = Field(
        "mistralai/Voxtral-Mini-4B-Realtime-2602", description="The name the model is served under."
    )
    chunk_ms: int = Field(
        80, ge=20, le=1000, description="Audio per append; 80 ms is one token of Voxtral."
    )

    # Places for sessions
    endpoint_instances: PositiveInt = Field(1, description="Instances behind the endpoint.")
    endpoint_sessions: PositiveInt | None = Field(
        None,
        description="Sessions that one instance takes. All gateways together never open more than "
        "instances x sessions. Default: no limit.",
    )
    routes_file: Path | None = Field(
        None, description="TOML with several endpoints and the routes to them: docs/routes.md."
    )
    admission_wait_s: float = Field(
        0, ge=0, le=10, description="A stream may wait this long for a place, in seconds."
    )

    # Sessions and segments
    start_timeout_s: PositiveFloat = Field(
        10, description="From the upgrade until the carrier's start message."
    )
    open_timeout_s: PositiveFloat = Field(10, description="To open an upstream session.")
    done_timeout_s: PositiveFloat = Field(
        20, description="From the final commit until the model is done, at hang-up."
    )
    finish_timeout_s: PositiveFloat = Field(
        60, description="From the hang-up until the last words are there, reconnects included."
    )
    replay_ms: int = Field(
        30_000,
        ge=1000,
        description="Audio per track kept for a session to come, in ms; what is older is a gap.",
    )
    retry_budget_s: PositiveFloat = Field(
        120, description="A track tries this long to get a session again, in seconds."
    )
    rollover_soft_s: PositiveFloat = Field(
        240, description="Age after which a session is replaced at a pause, in seconds."
    )
    rollover_hard_s: PositiveFloat = Field(
        1500, description="Age at which it is replaced in mid-speech; SageMaker's limit is 1800."
    )
    first_delta_late_s: PositiveFloat = Field(
        3, description="Audio sent and no first answer for so long is counted and logged."
    )
    mute_timeout_s: PositiveFloat = Field(
        8, description="Audio sent and no answer for so long: the session is given up, in seconds."
    )
    max_lag_ms: PositiveInt = Field(
        10_000, description="A session this far behind its audio is replaced, in ms."
    )
    rut_deltas: PositiveInt = Field(
        200, description="Empty deltas in a row, over speech, that end a session; 80 ms each."
    )
    segment_pause_ms: int = Field(1000, ge=160, description="Silence that closes a segment.")
    segment_max_ms: int = Field(30_000, ge=1000, description="A segment's greatest length.")

    # Ends
    idle_timeout_s: PositiveFloat = Field(
        120, description="A stream without media for so long is ended, in seconds."
    )
    silence_timeout_s: PositiveFloat = Field(
        1800, description="A stream with silence on all tracks for so long is ended, in seconds."
    )
    max_call_s: PositiveFloat = Field(14_400, description="A stream's greatest age, in seconds.")
    heartbeat_s: float = Field(
        20,
        ge=1,
        description="Between pings to the carrier; half of it without a pong and it is gone.",
    )
    drain_timeout_s: float = Field(
        1800, ge=0, description="After SIGTERM live calls may go on for so long, in seconds."
    )

    # The admin API, on the private port
    admin_tokens: SecretStr | None = Field(
        None,
        description='JSON: {"<name>": {"token": "<secret>", "scopes": ["read", "terminate", '
        '"drain", "mint"]}}. Without it the admin API is closed.',
    )

    # Who speaks
    inbound_role: Role = Field(Role.CUSTOMER, description="Who speaks on the inbound track.")
    outbound_role: Role = Field(Role.AGENT, description="Who speaks on the outbound track.")

    publish_params: Names | None = Field(
        None,
        description="Custom parameters of calls to publish, by name, comma-separated. Default: all "
        "but those whose names say that they are secrets. A route may say otherwise.",
    )

    def media_url(self, carrier: str) -> str:
        """Where a carrier's media go."""
        return f"ws{self.public_url.removeprefix('http')}/media/{carrier}"

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        """Refuse combinations that could not serve a call."""
        if self.routes_file is None:
            self._check_upstream()
        return self

    def _check_upstream(self) -> None:
        """Refuse an upstream that lacks its address; a routes file brings its own."""
        if self.upstream is Upstream.SAGEMAKER and not (
            self.sagemaker_endpoint and self.aws_region
        ):
            raise ValueError(
                "GATEWAY_UPSTREAM=sagemaker, the default, needs GATEWAY_SAGEMAKER_ENDPOINT and "
                "AWS_REGION"
            )
        if self.upstream is Upstream.WEBSOCKET and not self.realtime_url:
            raise ValueError("GATEWAY_UPSTREAM=websocket needs GATEWAY_REALTIME_URL")
