"""The settings of the worker `push`: `WORKER_PUSH_<NAME>`."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings

from common.settings import config
from workers.push.addresses import Network
from workers.push.delivery import Policy


def _read_networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(part.strip()) for part in value.split(","))
    except ValueError:
        raise ValueError("must be networks separated by commas: 10.20.0.0/16, fd12::/64") from None


class Settings(BaseSettings):
    """How messages are delivered to endpoints."""

    model_config = config("WORKER_PUSH_", env_file=".env")

    subscriptions: Path | None = Field(
        None,
        description="TOML file of the subscriptions (docs/push.md). If it is not set, the worker "
        "push runs and sends nothing.",
    )
    timeout_s: PositiveFloat = Field(
        10, le=300, description="Longest time of one attempt, from the connection to the response."
    )
    concurrency: PositiveInt = Field(
        16,
        le=1000,
        description="Attempts at the same time, per subscription and process. Each call of a "
        "subscription has one at most.",
    )
    budget_s: PositiveFloat = Field(
        21_600,
        description="From a message's first attempt until it becomes a dead letter, in seconds.",
    )
    disable_after_s: PositiveFloat = Field(
        86_400,
        description="An endpoint that fails for this time without a success is disabled, in "
        "seconds.",
    )
    keep_s: PositiveInt = Field(
        604_800,
        description="How long the history, dead letters and waiting messages are kept in Redis "
        "after the last change, in seconds.",
    )
    history: PositiveInt = Field(
        2000,
        description="Entries of the history, two per attempt, that are kept per subscription and "
        "partition.",
    )
    allow_http: bool = Field(
        False,
        description="Whether URLs may begin with http:// or kafka://. Then words of calls and "
        "signatures are sent in clear.",
    )
    allow_networks: Annotated[tuple[Network, ...], BeforeValidator(_read_networks)] = Field(
        (),
        description="Networks that are not public and that endpoints may be in, separated by "
        "commas: 10.20.0.0/16. All other private, loopback and link-local addresses are refused.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of CAs that endpoints' certificates may be signed by, in addition to "
        "the system's.",
    )

    @property
    def policy(self) -> Policy:
        """When to give up."""
        return Policy(self.budget_s, self.disable_after_s)
