"""Convert `SM_VLLM_…` variables to vLLM's flags. Pure.

The rules are those of AWS's vLLM images (`sagemaker_args.py` in aws/deep-learning-containers), so
that a configuration can be moved between them. Values never pass through a shell.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

PREFIX: Final = "SM_VLLM_"
# vLLM parses the first three as JSON; it accepts one value per --middleware.
_ONE_WORD: Final = {"ALLOWED_ORIGINS", "ALLOWED_METHODS", "ALLOWED_HEADERS", "MIDDLEWARE"}


def flags_of(values: Mapping[str, str]) -> list[str]:
    """Return the command-line words for values by name, without the prefix, in the names' order."""
    return [word for name in sorted(values) for word in _flag(name, values[name])]


def _flag(name: str, value: str) -> Iterator[str]:
    if value.strip().lower() == "false":
        return
    flag = "--" + name.lower().replace("_", "-")
    is_true = value.strip().lower() in {"true", ""}
    words = [] if is_true else _array(name, value)
    if words is None:
        # argparse would read a separate word with a dash as another flag.
        yield from [f"{flag}={value}"] if value.startswith("-") else [flag, value]
    elif words or is_true:  # argparse refuses a list flag without values
        yield flag
        yield from words


def _array(name: str, value: str) -> list[str] | None:
    """Return the words of a JSON array; None for any other value."""
    if name in _ONE_WORD or not value.lstrip().startswith("["):
        return None
    try:
        items = json.loads(value)
    except ValueError:
        return None  # vLLM reports the value as it was written
    return [item if isinstance(item, str) else _compact(item) for item in items]


def _compact(item: object) -> str:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False)
