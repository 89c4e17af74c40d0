"""The gateway's settings: `GATEWAY_<NAME>`, and `AWS_REGION` of the AWS SDK.

They are read once, from the environment or `.env`, and validated before the gateway listens.
"""

import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WebsocketUrl,
    model_validator,
)
from pydantic_settings import BaseSettings

from common.settings import Names, Port, SettingsError, Url, config, matching
from gateway.upstream.dialects.registry import DialectName

_KEYS: Final = TypeAdapter(dict[str, Annotated[str, Field(min_length=1)]])
_PUBLIC_URL: Final = "must have no query, no fragment and no user name"


def _check_keys(text: SecretStr) -> SecretStr:
    try:
        _KEYS.validate_json(text.get_secret_value())
    except ValidationError:
        raise ValueError('must be JSON: {"<name>": "<key>"}') from None
    return text


class Upstream(StrEnum):
    """How sessions with the model are transported."""

    SAGEMAKER = "sagemaker"
    WEBSOCKET = "websocket"


class Role(StrEnum):
    """Who speaks on a track."""

    CUSTOMER = "customer"
    AGENT = "agent"
    MIX = "mix"
    UNKNOWN = "unknown"


class Settings(BaseSettings):
    """The settings of one gateway process."""

    model_config = config("GATEWAY_", env_file=".env")
    sections: ClassVar = {
        "host": "Ports and load",
        "redis_url": "Redis",
        "upstream": "The model",
        "endpoint_instances": "Session slots",
        "start_timeout_s": "Sessions and segments",
        "idle_timeout_s": "How streams end",
        "admin_tokens": "The admin API on the private port",
        "inbound_role": "Who speaks",
        "otlp_endpoint": "Traces",
    }

    # Ports and load. Both listen on loopback by default, and on all IPv4 addresses in the image.
    host: str = Field(
        "127.0.0.1",
        description="Addresses of the public port, comma-separated. :: is all "
        "addresses of this host, IPv4 and IPv6.",
    )
    port: Port = Field(8000, description="Public port: webhooks and media sockets.")
    admin_host: str = Field(
        "127.0.0.1", description="Addresses of the private port, in the same format."
    )
    admin_port: Port = Field(9000, description="Private port: /metrics, /healthz, /readyz.")
    public_url: Annotated[Url, matching(r"[^?#@]*", _PUBLIC_URL)] = Field(
        description="The gateway's URL as carriers call it, https://host[:port][/prefix]. Carriers "
        "sign this URL. A proxy must remove the prefix from the paths that it forwards."
    )
    id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        max_length=128,
        description="This gateway's name in every event. Default: host name and process id.",
    )
    secrets_dir: Path | None = Field(
        None,
        description="Folder with one file per secret, named like its variable, as mounted by "
        "Docker and Kubernetes. SIGHUP reloads the carriers' secrets.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The lowest level of the gateway's log lines."
    )
    max_calls: PositiveInt = Field(
        200,
        description="Media streams at the same time; more are refused with 503 before the upgrade.",
    )
    overload_cpu: PositiveFloat = Field(
        0.85,
        description="Share of a core at which new calls are refused with 503, so that transcripts "
        "of live calls are not delayed. More than 1 disables the limit.",
    )
    overload_lag_ms: PositiveInt = Field(
        100,
        description="Lag of the event loop (median of 2 s) at which new calls are refused with "
        "503, in ms.",
    )

    # Redis
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://, redis+cluster:// or redis+sentinel://, with rediss for TLS; see "
        "docs/redis.md. Secret, because it may contain a password.",
    )
    partitions: int = Field(
        64,
        ge=1,
        le=9999,
        description="Number of partitions of the event streams. It can't be changed later.",
    )
    retention_s: PositiveInt = Field(
        86_400, description="How long Redis keeps a call's events, in seconds."
    )
    lease_s: PositiveInt = Field(
        30,
        description="Duration of the lease of a live stream or a session slot, in seconds. The "
        "leases of a lost gateway expire after it.",
    )
    spool_dir: Path | None = Field(
        None,
        description="Folder of the spool: files that keep events while Redis is unavailable. "
        "Default: a private folder in the system's folder for temporary files.",
    )
    spool_max_mb: PositiveInt = Field(1024, description="Maximum size of the spool, in MiB.")

    # The model
    upstream: Upstream = Field(Upstream.SAGEMAKER, description="sagemaker or websocket.")
    sagemaker_endpoint: str | None = Field(
        None, description="Name of the endpoint. Required for sagemaker."
    )
    sagemaker_variant: str | None = Field(
        None, max_length=63, description="Name of the production variant."
    )
    sagemaker_url: Url | None = Field(
        None,
        description="URL to use instead of https://runtime.sagemaker.<region>.amazonaws.com:8443.",
    )
    sagemaker_ca_file: Path | None = Field(
        None, description="PEM file of a private CA to trust instead of the system's CAs."
    )
    aws_region: str | None = Field(
        None, validation_alias="AWS_REGION", description="AWS region. Required for sagemaker."
    )
    coalesce_ms: int = Field(
        0,
        ge=0,
        le=1000,
        description="Combine the deltas of up to this time into one message, which costs less and "
        "delays text by up to this time. Needs the container's bridge. 0: send each delta.",
    )
    realtime_url: WebsocketUrl | None = Field(
        None, description="ws(s)://host/v1/realtime of a vLLM server. Required for websocket."
    )
    realtime_api_key: SecretStr | None = Field(None, description="API key of that server.")
    realtime_api_keys: Annotated[SecretStr, AfterValidator(_check_keys)] | None = Field(
        None,
        description="JSON: further keys, by the names that the routes file uses: "
        '{"<name>": "<key>"}.',
    )
    model: str = Field(
        "mistralai/Voxtral-Mini-4B-Realtime-2602",
        description="Name under which the endpoint serves the model.",
    )
    dialect: DialectName = Field(
        DialectName.VOXTRAL,
        description="Protocol of the server, and kind of the model: docs/models.md.",
    )
    chunk_ms: int = Field(
        80, ge=20, le=1000, description="Audio per append, in ms; 80 ms is one token of Voxtral."
    )

    # Session slots
    endpoint_instances: PositiveInt = Field(1, description="Number of instances of the endpoint.")
    endpoint_sessions: PositiveInt | None = Field(
        None,
        description="Sessions per instance. All gateways together open at most instances x "
        "sessions. Default: no limit.",
    )
    routes_file: Path | None = Field(
        None, description="TOML file with several endpoints and routes: docs/routes.md."
    )
    admission_wait_s: float = Field(
        0, ge=0, le=10, description="How long a stream may wait for a session slot, in seconds."
    )

    # Sessions and segments
    start_timeout_s: PositiveFloat = Field(
        10, description="Time from the upgrade to the carrier's start message, in seconds."
    )
    open_timeout_s: PositiveFloat = Field(
        10, description="Time to open an upstream session, in seconds."
    )
    done_timeout_s: PositiveFloat = Field(
        20,
        description="Time from the final commit at hang-up until the model is done, in seconds.",
    )
    finish_timeout_s: PositiveFloat = Field(
        60,
        description="Time from the hang-up to the final transcripts, reconnects included, in "
        "seconds.",
    )
    replay_ms: int = Field(
        30_000,
        ge=1000,
        description="Audio per track that is kept to replay it to a new session, in ms. Older "
        "audio becomes a gap.",
    )
    retry_budget_s: PositiveFloat = Field(
        120, description="How long a track tries to open a new session, in seconds."
    )
    rollover_soft_s: PositiveFloat = Field(
        240, description="Age after which a session is replaced at the next pause, in seconds."
    )
    rollover_hard_s: PositiveFloat = Field(
        1500,
        description="Age at which a session is replaced in mid-speech, in seconds; sooner if its "
        "server or SageMaker would end it.",
    )
    first_delta_late_s: PositiveFloat = Field(
        3,
        description="Time from sent audio to the first delta after which the session is counted "
        "and logged as late, in seconds.",
    )
    mute_timeout_s: PositiveFloat = Field(
        8,
        description="Time without a delta for sent audio after which a session is replaced, in "
        "seconds.",
    )
    max_lag_ms: PositiveInt = Field(
        10_000, description="A session this far behind its audio is replaced, in ms."
    )
    rut_deltas: PositiveInt = Field(
        200,
        description="Empty deltas in a row during speech after which a silent model's session is "
        "replaced; 80 ms each.",
    )
    segment_pause_ms: int = Field(1000, ge=160, description="Silence that closes a segment, in ms.")
    segment_max_ms: int = Field(
        30_000, ge=1000, description="Maximum duration of a segment, in ms."
    )

    # Ends
    idle_timeout_s: PositiveFloat = Field(
        120, description="Time without media after which a stream is ended, in seconds."
    )
    silence_timeout_s: PositiveFloat = Field(
        1800,
        description="Time of silence on all tracks after which a stream is ended, in seconds.",
    )
    max_call_s: PositiveFloat = Field(14_400, description="Maximum age of a stream, in seconds.")
    heartbeat_s: float = Field(
        20,
        ge=1,
        description="Interval between pings to the carrier, in seconds. If no pong is received "
        "within half of it, the connection is lost.",
    )
    drain_timeout_s: float = Field(
        1800, ge=0, description="How long live calls may continue after SIGTERM, in seconds."
    )

    # The admin API, on the private port
    admin_tokens: SecretStr | None = Field(
        None,
        description='JSON: {"<name>": {"token": "<secret>", "scopes": ["read", "terminate", '
        '"drain", "mint"]}}. Default: the admin API is disabled.',
    )

    # Who speaks
    inbound_role: Role = Field(Role.CUSTOMER, description="Who speaks on the inbound track.")
    outbound_role: Role = Field(Role.AGENT, description="Who speaks on the outbound track.")

    publish_params: Names | None = Field(
        None,
        description="Names of the custom parameters to publish, comma-separated. Default: all "
        "except those whose names suggest a secret. A route may override it.",
    )

    # Traces. The SDK reads its other variables from the environment.
    otlp_endpoint: Url | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="URL of an OpenTelemetry collector that accepts OTLP over HTTP; traces are "
        "sent to its path /v1/traces. Needs the extra otel: docs/tracing.md. Default: no traces.",
    )
    otlp_traces_endpoint: Url | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="URL to send traces to, with its path, instead of that one.",
    )

    @property
    def traces_url(self) -> str | None:
        """Where traces are sent; None if tracing is off."""
        base = self.otlp_endpoint and f"{self.otlp_endpoint}/v1/traces"
        return self.otlp_traces_endpoint or base

    def api_key(self, name: str | None) -> str | None:
        """Return the API key of this name; None is the one without a name.

        Raises:
            SettingsError: no key has the name.
        """
        if name is None:
            return self.realtime_api_key.get_secret_value() if self.realtime_api_key else None
        keys = self.realtime_api_keys
        try:
            return _KEYS.validate_json(keys.get_secret_value() if keys else "{}")[name]
        except KeyError:
            raise SettingsError(f"GATEWAY_REALTIME_API_KEYS has no key named {name}") from None

    def media_url(self, carrier: str) -> str:
        """Return the WebSocket URL of a carrier's media streams."""
        return f"ws{self.public_url.removeprefix('http')}/media/{carrier}"

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        """Reject combinations of settings that can't serve a call."""
        if self.routes_file is None:
            self._check_upstream()
        return self

    def _check_upstream(self) -> None:
        """Reject an upstream without an address. A routes file contains its own addresses."""
        if self.upstream is Upstream.SAGEMAKER and not (
            self.sagemaker_endpoint and self.aws_region
        ):
            raise ValueError(
                "GATEWAY_UPSTREAM=sagemaker, the default, needs GATEWAY_SAGEMAKER_ENDPOINT and "
                "AWS_REGION"
            )
        if self.upstream is Upstream.WEBSOCKET and not self.realtime_url:
            raise ValueError("GATEWAY_UPSTREAM=websocket needs GATEWAY_REALTIME_URL")
