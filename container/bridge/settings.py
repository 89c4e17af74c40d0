"""The bridge's settings: `BRIDGE_<NAME>`, read once and validated before listening."""

import os
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, PositiveFloat, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "BRIDGE_"
_HTTP_URL = TypeAdapter(HttpUrl)


class SettingsError(Exception):
    """The bridge must not start; one line that names each setting at fault, and no values."""


def _check_url(value: str) -> str:
    return str(_HTTP_URL.validate_python(value)).rstrip("/")


type Url = Annotated[str, AfterValidator(_check_url)]


class Settings(BaseSettings):
    """One bridge process's settings."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, hide_input_in_errors=True)

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. The image sets 0.0.0.0: SageMaker comes from outside.",
    )
    port: int = Field(8080, ge=0, le=65535, description="SageMaker's contract says 8080.")
    engine_url: Url = Field("http://127.0.0.1:8081", description="The engine's root.")
    connect_timeout_s: PositiveFloat = Field(5, description="To open a session at the engine.")
    drain_timeout_s: PositiveFloat = Field(
        20, description="From the client's close until the engine is done."
    )
    health_timeout_s: PositiveFloat = Field(
        1.5, description="For the engine's health; SageMaker gives a ping 2 s."
    )
    heartbeat_s: PositiveFloat = Field(
        60, description="Between pings to either side; half of it without a pong is the end."
    )


def load() -> Settings:
    """Read the settings of this process.

    Raises:
        SettingsError: one is unknown or invalid.
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
