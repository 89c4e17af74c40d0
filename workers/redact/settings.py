"""The settings of redaction: `WORKER_REDACT_<NAME>`."""

from typing import Annotated, Final

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings

from common.settings import config, matching
from workers.redact.kinds import Kind
from workers.redact.lexicon import LANGUAGES

_KINDS: Final = tuple(kind for kind in Kind if kind is not Kind.NUMBER)
_LANGUAGES: Final = ", ".join(sorted(LANGUAGES))

type Region = Annotated[str, matching(r"[A-Z]{2}", "must be two capital letters, such as US")]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is masked in the calls of a route; a field that is not set is as in the settings."""

    kinds: tuple[Kind, ...] | None = None
    language: str | None = None
    region: str | None = None


def _check_language(language: str) -> str:
    if language.partition("-")[0].lower() not in LANGUAGES:
        raise ValueError(f"must be one of {_LANGUAGES}, or one of these with a region: en-GB")
    return language


def _read_kinds(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _read_routes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value, type=dict[str, Rules])
    except msgspec.DecodeError:
        raise ValueError(
            'must be {"<route>": {"kinds": [...], "language": "en", "region": "US"}}'
        ) from None


def _check_routes(routes: dict[str, Rules]) -> dict[str, Rules]:
    for rules in routes.values():
        if rules.language:
            _check_language(rules.language)
    return routes


class Settings(BaseSettings):
    """What is masked in the redacted copies of calls."""

    model_config = config("WORKER_REDACT_", env_file=".env")

    kinds: Annotated[tuple[Kind, ...], BeforeValidator(_read_kinds)] = Field(
        _KINDS, description=f"What to mask, separated by commas: {', '.join(_KINDS)}."
    )
    language: Annotated[str, AfterValidator(_check_language)] = Field(
        "en", description=f"The language of the calls: {_LANGUAGES}, also with a region: en-GB."
    )
    region: Region = Field(
        "US",
        description="The country whose telephone numbers are said without a country code, as two "
        "letters.",
    )
    routes: Annotated[
        dict[str, Rules], BeforeValidator(_read_routes), AfterValidator(_check_routes)
    ] = Field(
        default_factory=dict,
        description='Other rules for the calls of some routes: {"berlin": {"language": "de", '
        '"region": "DE"}, "internal": {"kinds": ["card"]}}.',
    )

    def rules(self, route: str) -> tuple[frozenset[Kind], str, str]:
        """Return the kinds, the language and the region of a route's calls."""
        own = self.routes.get(route, Rules())
        kinds = self.kinds if own.kinds is None else own.kinds
        return frozenset(kinds), own.language or self.language, own.region or self.region
