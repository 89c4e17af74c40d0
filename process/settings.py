"""Settings of a process: read once from the environment, refused in one line.

A process declares a `BaseSettings` class with described fields; `load` reads it, `manual.py` lists
it for `--help`. An unknown variable with the process's prefix is refused as loudly as an invalid
value: a misspelt setting that is silently ignored is an outage later.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from process import wording

_HTTP_URL = TypeAdapter(HttpUrl)


class SettingsError(Exception):
    """The process must not start; one line that names each setting at fault, and no values."""


def _check_url(text: str) -> str:
    return str(_HTTP_URL.validate_python(text)).rstrip("/")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


type Port = Annotated[int, Field(ge=0, le=65535)]  # 0 takes a free one
type Url = Annotated[str, AfterValidator(_check_url)]  # http(s), without a slash at its end
type _Name = Annotated[str, Field(min_length=1)]
type Names = Annotated[tuple[_Name, ...], NoDecode, BeforeValidator(_split)]  # comma-separated


def matching(pattern: str, what: str) -> AfterValidator:
    """Return a validator of texts whose refusal says what they must be, not the pattern."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(what)
        return text

    return AfterValidator(check)


def config(prefix: str, env_file: str | None = None) -> SettingsConfigDict:
    """Give the `model_config` of a process whose variables begin with `prefix`."""
    return SettingsConfigDict(
        env_prefix=prefix,
        env_file=env_file,
        env_ignore_empty=True,  # as compose files pass on what is not set
        extra="ignore",  # other processes share the environment; `load` refuses unknown names
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def load[S: BaseSettings](kind: type[S], parts: Iterable[type[BaseSettings]] = ()) -> S:
    """Read a process's settings.

    Args:
        kind: which.
        parts: settings with longer prefixes, read apart: their names are known, too.

    Raises:
        SettingsError: at least one is unknown, missing or invalid.
    """
    problems = unknown(kind, parts)
    if problems:
        raise SettingsError(problems)
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError("; ".join(sentences(kind, error))) from None


def unknown(kind: type[BaseSettings], parts: Iterable[type[BaseSettings]] = ()) -> str:
    """Name the variables with the process's prefix that are no settings; empty without any."""
    kinds: list[type[BaseSettings]] = [kind, *parts]
    known = {variable_of(each, name) for each in kinds for name in each.model_fields}
    prefix = kind.model_config.get("env_prefix", "")
    names = sorted(name for name in _given(kind) - known if name.startswith(prefix))
    return wording.unknown_sentence(names, known) if names else ""


def _given(kind: type[BaseSettings]) -> set[str]:
    env_file = kind.model_config.get("env_file")
    from_file = dotenv_values(env_file) if isinstance(env_file, str | Path) else {}
    return {name.upper() for name in (*os.environ, *from_file)}


def variable_of(kind: type[BaseSettings], name: str) -> str:
    """The environment variable of a field."""
    alias = kind.model_fields[name].validation_alias
    return str(alias) if alias else f"{kind.model_config.get('env_prefix', '')}{name.upper()}"


def sentences(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    """One sentence per problem, by the variable's name as the operator knows it."""
    return [
        _sentence(kind, problem) for problem in error.errors(include_input=False, include_url=False)
    ]


def _sentence(kind: type[BaseSettings], problem: ErrorDetails) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    field = kind.model_fields.get(name)
    text = wording.sentence(problem, field.description if field else None)
    if field is None:
        return f"{name}: {text}" if name else text
    label = variable_of(kind, name)
    if problem["type"] == "missing":
        prefix = kind.model_config.get("env_prefix", "")
        others = [each for each in _given(kind) if not each.startswith(prefix)]
        if close := wording.near_miss(label, others):  # with the prefix, `unknown` names it
            text += f"; {close} is set: did you mean {label}?"
    return f"{label}: {text}"
