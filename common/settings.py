"""Reads the settings of a process from the environment, and reports invalid ones in one line.

A process declares a `BaseSettings` class whose fields have descriptions. `load` reads the settings,
and `manual.py` lists them for `--help`. An unknown variable with the process's prefix prevents
startup, just as an invalid value does: otherwise a misspelt setting would silently have no effect.
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
    """A setting prevents startup. The message is one line that names the settings, not values."""


def _check_url(text: str) -> str:
    return str(_HTTP_URL.validate_python(text)).rstrip("/")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def split_secrets(text: str) -> tuple[str, ...]:
    """Split a list of secrets, separated by commas or, for secrets with commas, a JSON array.

    Raises:
        ValueError: the text looks like JSON but is not valid. The message quotes nothing.
    """
    if not text.lstrip().startswith("["):
        return tuple(part.strip() for part in text.split(","))
    try:
        return tuple(json.loads(text))
    except ValueError:
        raise ValueError('must be secrets separated by commas, or JSON: ["...", "..."]') from None


def _split_secrets(value: object) -> object:
    return split_secrets(value) if isinstance(value, str) else value


type Port = Annotated[int, Field(ge=0, le=65535)]  # 0 chooses a free one
type Url = Annotated[str, AfterValidator(_check_url)]  # http(s), without a trailing slash
type _Name = Annotated[str, Field(min_length=1)]
type Secrets[S] = Annotated[tuple[S, ...], BeforeValidator(_split_secrets), Field(max_length=64)]
type Names = Annotated[tuple[_Name, ...], BeforeValidator(_split)]  # comma-separated


def matching(pattern: str, what: str) -> AfterValidator:
    """Return a validator for a pattern; its error is `what`, which describes a valid value."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(what)
        return text

    return AfterValidator(check)


def config(prefix: str, env_file: str | None = None) -> SettingsConfigDict:
    """Return the `model_config` for settings whose variables begin with `prefix`."""
    return SettingsConfigDict(
        env_prefix=prefix,
        env_file=env_file,
        enable_decoding=False,  # a secret may look like JSON; `_split` splits lists
        env_ignore_empty=True,  # compose files pass unset variables as empty ones
        extra="ignore",  # other processes share the environment; `load` rejects unknown names
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def load[S: BaseSettings](
    kind: type[S],
    parts: Iterable[type[BaseSettings]] = (),
    secrets_dir: Path | None = None,
) -> S:
    """Read the settings of a process.

    Args:
        kind: the class of the settings.
        parts: settings classes with longer prefixes, which are read separately. Their variables
            are not reported as unknown.
        secrets_dir: a folder with files that are named like variables and contain their values.
            The environment and the `.env` file take precedence.

    Raises:
        SettingsError: a setting is unknown, missing or invalid.
    """
    secrets_dir = secrets_dir or secrets_folder(kind)
    if problems := unknown(kind, parts, secrets_dir):
        raise SettingsError(problems)
    try:
        return kind(_secrets_dir=secrets_dir)
    except ValidationError as error:
        raise SettingsError("; ".join(sentences(kind, error))) from None


def secrets_folder(kind: type[BaseSettings]) -> Path | None:
    """Return the folder of secrets that the setting `secrets_dir` of a process names, if any."""
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
    """Return a sentence that names unknown variables with the process's prefix, or "".

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
    """Return the environment variable of a field."""
    alias = kind.model_fields[name].validation_alias
    return str(alias) if alias else f"{kind.model_config.get('env_prefix', '')}{name.upper()}"


def sentences(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    """Return one sentence per problem, which begins with the name of the variable."""
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
        if close := wording.near_miss(label, others):  # `unknown` reports those with the prefix
            text += f"; {close} is set: did you mean {label}?"
    return f"{label}: {text}"
