"""The settings of wrap-ups: `WORKER_WRAPUP_<NAME>`."""

from enum import StrEnum
from typing import Annotated, Final, Self

import msgspec
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings

from common.settings import Names, Url, config
from workers.wrapup.drafting import Limits, Rules
from workers.wrapup.jobs import Budget

_LEAST_ROOM: Final = 2048  # tokens of a request: the instructions, and some segments
_EXAMPLE: Final = (
    '{"sales": {"dispositions": ["sale", "no-sale"], "language": "German"}, '
    '"internal": {"enabled": false}}'
)


class TextKind(StrEnum):
    """The text that the model receives."""

    REDACTED = "redacted"
    RAW = "raw"


class Format(StrEnum):
    """How the server is asked for JSON."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"


class LimitName(StrEnum):
    """The parameter that limits a reply."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"


class RouteRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What differs for the calls of a route; a field that is not set is as in the settings."""

    enabled: bool = True
    dispositions: tuple[str, ...] | None = None
    language: str | None = None


def _read_routes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value, type=dict[str, RouteRules])
    except msgspec.DecodeError:
        raise ValueError(
            'must be {"<route>": {"dispositions": [...], "language": "...", "enabled": true}}'
        ) from None


class Settings(BaseSettings):
    """Which model makes wrap-ups, of which calls, and what they may cost."""

    model_config = config("WORKER_WRAPUP_", env_file=".env")

    url: Url | None = Field(
        None,
        description="Base URL of a server with OpenAI's chat completions, such as "
        "https://api.openai.com/v1 or http://127.0.0.1:8000/v1. Not set: no wrap-ups are made.",
    )
    key: SecretStr | None = Field(None, description="The server's API key, if it needs one.")
    model: str = Field("", description="Name of the model. Needed if the URL is set.")
    text: TextKind = Field(
        TextKind.REDACTED,
        description="The text that the model receives: redacted (from the worker redact), or raw.",
    )
    dispositions: Names = Field(
        (),
        description="The dispositions of calls, separated by commas. Empty: none is asked for.",
    )
    language: str = Field(
        "",
        max_length=64,
        description="Language of the wrap-ups, in words: English. Empty: that of the call.",
    )
    routes: Annotated[dict[str, RouteRules], BeforeValidator(_read_routes)] = Field(
        default_factory=dict,
        description=f"Other rules for the calls of some routes: {_EXAMPLE}.",
    )
    context_tokens: Annotated[int, Field(ge=4096, le=2_000_000)] = Field(
        16_384,
        description="Context of the model, in tokens. A longer call is summarized in parts.",
    )
    answer_tokens: Annotated[int, Field(ge=256, le=32_768)] = Field(
        1500, description="Longest reply, in tokens; reasoning counts, if the model reasons."
    )
    format: Format = Field(
        Format.JSON_SCHEMA,
        description="How the server is asked for JSON: json_schema, or json_object if it does not "
        "support the former.",
    )
    limit_name: LimitName = Field(
        LimitName.MAX_TOKENS,
        description="The parameter that limits a reply: max_tokens, or max_completion_tokens, "
        "which newer models of OpenAI need.",
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        None, description="Sampling temperature. Not set: the server's default."
    )
    concurrency: PositiveInt = Field(
        4, description="Requests to the model at the same time, by one process."
    )
    grace_s: NonNegativeFloat = Field(
        10,
        description="How long after the end of its last stream a call counts as over, in seconds: "
        "a transfer may begin another stream.",
    )
    connect_s: PositiveFloat = Field(5, description="Longest connecting, in seconds.")
    idle_s: PositiveFloat = Field(
        60, description="Longest time without data of a reply, in seconds."
    )
    request_s: PositiveFloat = Field(180, description="Longest request, in seconds.")
    budget_s: PositiveFloat = Field(
        900,
        description="How long after its first attempt a wrap-up that failed is attempted again, in "
        "seconds.",
    )
    budget_tokens: PositiveInt = Field(
        200_000,
        description="Tokens of requests and replies after which a wrap-up that failed is not "
        "attempted again, and no further part of a long call is sent.",
    )
    max_age_s: PositiveFloat = Field(
        21_600,
        description="Calls that ended longer ago get no wrap-up, in seconds: after a time in "
        "which no worker ran.",
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.url and not self.model:
            raise ValueError("WORKER_WRAPUP_URL needs WORKER_WRAPUP_MODEL")
        if self.context_tokens - self.answer_tokens < _LEAST_ROOM:
            raise ValueError(
                "WORKER_WRAPUP_CONTEXT_TOKENS must exceed WORKER_WRAPUP_ANSWER_TOKENS by "
                f"{_LEAST_ROOM}"
            )
        return self

    def rules(self, route: str) -> Rules | None:
        """Return the rules of a route's calls; None if they get no wrap-up."""
        own = self.routes.get(route, RouteRules())
        if not own.enabled:
            return None
        dispositions = self.dispositions if own.dispositions is None else own.dispositions
        return Rules(dispositions, self.language if own.language is None else own.language)

    @property
    def limits(self) -> Limits:
        """The sizes of requests and replies."""
        return Limits(self.context_tokens, self.answer_tokens)

    @property
    def budget(self) -> Budget:
        """What one wrap-up may cost."""
        return Budget(round(self.budget_s * 1000), self.budget_tokens)
