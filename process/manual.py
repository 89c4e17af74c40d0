"""Every setting of a process for `--help`: by sections, with defaults and units."""

import shutil
import textwrap
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from process.settings import variable_of

_WIDEST: Final = 100
_UNITS: Final = {"_ms": "ms", "_s": "s", "_mb": "MiB", "_hz": "Hz"}


def describe(kind: type[BaseSettings]) -> str:
    """List a settings class: each variable with its default and its meaning.

    A class may have `sections`: the first field of each section and its heading. A class nested in
    another, as a carrier's is, has that one's name as its heading.
    """
    outer, _, _ = kind.__qualname__.rpartition(".")
    sections: Mapping[str, str] = getattr(kind, "sections", {})
    lines = [f"\n{outer.rpartition('.')[2]}"] if outer else []
    for name, field in kind.model_fields.items():
        if name in sections:
            lines.append(f"\n{sections[name]}")
        lines.append(f"  {variable_of(kind, name)} ({_default(name, field)})")
        lines.append(_wrapped(field.description or ""))
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    width = min(_WIDEST, shutil.get_terminal_size().columns)
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
