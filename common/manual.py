"""Describes the settings of a process, by section, for `--help` and for docs/settings.md."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from common.settings import variable_of

_MAX_WIDTH: Final = 100
_UNITS: Final = {"_ms": "ms", "_s": "s", "_mb": "MiB", "_hz": "Hz"}


class Setting(NamedTuple):
    """One environment variable, as text."""

    variable: str
    default: str
    meaning: str


def settings_of(kind: type[BaseSettings]) -> Iterator[tuple[str, list[Setting]]]:
    """Yield the settings of a class by section: the section's heading and its settings.

    A class may have an attribute `sections`, which maps the first field of each section to its
    heading. The heading of a nested class, such as a carrier's, is the name of the outer class.
    Otherwise the heading is empty.
    """
    outer, _, _ = kind.__qualname__.rpartition(".")
    sections: Mapping[str, str] = getattr(kind, "sections", {})
    heading, found = outer.rpartition(".")[2], list[Setting]()
    for name, field in kind.model_fields.items():
        if name in sections:
            if found:
                yield heading, found
            heading, found = sections[name], []
        variable, default = variable_of(kind, name), _default(name, field)
        found.append(Setting(variable, default, field.description or ""))
    yield heading, found


def describe(kind: type[BaseSettings]) -> str:
    """Return the settings of a class as text for a terminal."""
    lines: list[str] = []
    for heading, settings in settings_of(kind):
        if heading:
            lines.append(f"\n{heading}")
        for each in settings:
            lines += [f"  {each.variable} ({each.default})", _wrapped(each.meaning)]
    return "\n".join(lines)


def tabulate(kind: type[BaseSettings]) -> str:
    """Return the settings of a class as Markdown, with a table for each section."""
    tables = []
    for heading, settings in settings_of(kind):
        rows = [
            f"| `{variable}` | {default} | {_cell(text)} |" for variable, default, text in settings
        ]
        title = [f"### {heading}", ""] if heading else []
        tables.append(
            "\n".join([*title, "| variable | default | meaning |", "|---|---|---|", *rows])
        )
    return "\n\n".join(tables)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _wrapped(text: str) -> str:
    width = min(_MAX_WIDTH, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _default(name: str, field: FieldInfo) -> str:
    default = field.default
    if field.is_required():
        return "required"
    if field.default_factory:
        return "computed"
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, bool):
        return str(default).lower()
    unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")
    return "unset" if default is None else f"{default} {unit}".strip()
