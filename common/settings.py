"""Settings of a process: read once from the environment, refused in one line.

A process declares a `BaseSettings` class with described fields; `load` reads it, `manual.py` lists
it for `--help`. An unknown variable with the process's prefix is refused as loudly as an invalid
value: a misspelt setting that is silently ignored is an outage later.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
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
from pydantic_settings import BaseSettings, SettingsConfigDict

from common import wording

_HTTP_URL = TypeAdapter(HttpUrl)


class SettingsError(Exception):
    """The process must not start; one line that names each setting at fault, and no values."""


def _check_url(text: str) -> str:
    return str(_HTTP_URL.validate_python(text)).rstrip("/")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def split_secrets(text: str) -> tuple[str, ...]:
    """Split a list of secrets: separated by commas, or a JSON array, for secrets with commas.

    Raises:
        ValueError: it looks like JSON and is none; quotes nothing.
    """
    if not text.lstrip().startswith("["):
        return tuple(part.strip() for part in text.split(","))
    try:
        return tuple(json.loads(text))
    except ValueError:
        raise ValueError('must be secrets separated by commas, or JSON: ["...", "..."]') from None


def _split_secrets(value: object) -> object:
    return split_secrets(value) if isinstance(value, str) else value


type Port = Annotated[int, Field(ge=0, le=65535)]  # 0 takes a free one
type Url = Annotated[str, AfterValidator(_check_url)]  # http(s), without a slash at its end
type _Name = Annotated[str, Field(min_length=1)]
type Secrets[S] = Annotated[tuple[S, ...], BeforeValidator(_split_secrets), Field(max_length=64)]
type Names = Annotated[tuple[_Name, ...], BeforeValidator(_split)]  # comma-separated


def matching(pattern: str, what: str) -> AfterValidator:
    """Return a validator of texts whose refusal says what they must be, not the pattern."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(what)
        return text

    return AfterValidator(check)


def config(prefix: str, env_file: str | None = None) -> SettingsConfigDict:
    """Return the `model_config` of a process whose variables begin with `prefix`."""
    return SettingsConfigDict(
        env_prefix=prefix,
        env_file=env_file,
        enable_decoding=False,  # a secret that looks like JSON is none; lists are split by `_split`
        env_ignore_empty=True,  # as compose files pass on what is not set
        extra="ignore",  # other processes share the environment; `load` refuses unknown names
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def load[S: BaseSettings](
    kind: type[S],
    parts: Iterable[type[BaseSettings]] = (),
    secrets_dir: Path | None = None,
) -> S:
    """Read a process's settings.

    Args:
        kind: which.
        parts: settings with longer prefixes, read apart: their names are known, too.
        secrets_dir: a folder with a file for each of some settings, named as its variable. The
            environment and the `.env` file outweigh it.

    Raises:
        SettingsError: at least one is unknown, missing or invalid.
    """
    secrets_dir = secrets_dir or secrets_folder(kind)
    if problems := unknown(kind, parts, secrets_dir):
        raise SettingsError(problems)
    try:
        return kind(_secrets_dir=secrets_dir)
    except ValidationError as error:
        raise SettingsError("; ".join(sentences(kind, error))) from None


def secrets_folder(kind: type[BaseSettings]) -> Path | None:
    """Return the folder of secrets that a process's own settings name."""
    if "secrets_dir" not in kind.model_fields:
        return None
    name = variable_of(kind, "secrets_dir")
    given = os.environ.get(name) or _in_file(kind).get(name)
    return Path(given) if given else None


def unknown(
    kind: type[BaseSettings],
    parts: Iterable[type[BaseSettings]] = (),
    secrets_dir: Path | None = None,
) -> str:
    """Name the variables with the process's prefix that are no settings; empty without any.

    Raises:
        SettingsError: the folder of secrets can't be read.
    """
    kinds: list[type[BaseSettings]] = [kind, *parts]
    known = {variable_of(each, name) for each in kinds for name in each.model_fields}
    prefix = kind.model_config.get("env_prefix", "")
    given = _given(kind) | _names_in(secrets_dir)
    names = sorted(name for name in given - known if name.startswith(prefix))
    return wording.unknown_sentence(names, known) if names else ""


def _names_in(folder: Path | None) -> set[str]:
    if folder is None:
        return set()
    try:
        return {path.name.upper() for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise SettingsError(f"the folder of secrets can't be read: {error.strerror}") from None


def _given(kind: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in (*os.environ, *_in_file(kind))}


def _in_file(kind: type[BaseSettings]) -> Mapping[str, str | None]:
    env_file = kind.model_config.get("env_file")
    return dotenv_values(env_file) if isinstance(env_file, str | Path) else {}


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
