"""Settings of a process: read once from the environment, refused in one line.

A process declares a `BaseSettings` class with described fields; `load` reads it, `describe`
lists it for `--help`. An unknown variable with the process's prefix is refused as loudly as an
invalid value: a misspelt setting that is silently ignored is an outage later.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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
    env_file = kind.model_config.get("env_file")
    from_file = dotenv_values(env_file) if isinstance(env_file, str | Path) else {}
    given = {name.upper() for name in (*os.environ, *from_file)}
    kinds: list[type[BaseSettings]] = [kind, *parts]
    known = {_variable(each, name) for each in kinds for name in each.model_fields}
    prefix = kind.model_config.get("env_prefix", "")
    if unknown := sorted(name for name in given - known if name.startswith(prefix)):
        raise SettingsError(f"unknown: {', '.join(unknown)}")
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError("; ".join(_sentences(kind, error))) from None


def describe(kind: type[BaseSettings]) -> str:
    """List every setting: its variable, its default and its meaning."""
    return "\n".join(
        f"{_variable(kind, name)} ({_default(field)})\n    {field.description}"
        for name, field in kind.model_fields.items()
    )


def _variable(kind: type[BaseSettings], name: str) -> str:
    """The environment variable of a field."""
    alias = kind.model_fields[name].validation_alias
    return str(alias) if alias else f"{kind.model_config.get('env_prefix', '')}{name.upper()}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory:
        return "computed"
    if isinstance(field.default, SecretStr):
        return field.default.get_secret_value()
    if isinstance(field.default, tuple):
        return ",".join(field.default)
    return "unset" if field.default is None else str(field.default)


def _sentences(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    """One sentence per problem, by the variable's name as the operator knows it."""
    sentences = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        label = f"{_variable(kind, name)}: " if name in kind.model_fields else name and f"{name}: "
        sentences.append(label + problem["msg"].removeprefix("Value error, "))
    return sentences
