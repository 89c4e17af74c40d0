"""The endpoint's settings: `ENDPOINT_<NAME>`, read once and validated before listening."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_PREFIX = "ENDPOINT_"
_HTTP_URL = TypeAdapter(HttpUrl)


class SettingsError(Exception):
    """A setting is unknown, missing or invalid: one line that names each, without values."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


type Name = Annotated[str, Field(min_length=1)]
type Names = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_split)]


def _check_url(value: str) -> str:
    return str(_HTTP_URL.validate_python(value)).rstrip("/")


type Url = Annotated[str, AfterValidator(_check_url)]


class Settings(BaseSettings):
    """One endpoint process's settings."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8443, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
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


def load() -> Settings:
    """Read the settings of this process.

    Raises:
        SettingsError: one is unknown, missing or invalid.
    """
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {name.upper() for name in os.environ if name.upper().startswith(_PREFIX)}
    if unknown := sorted(given - known):
        raise SettingsError(f"unknown: {', '.join(unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise SettingsError(
            "; ".join(f"{_PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in problems)
        ) from None
