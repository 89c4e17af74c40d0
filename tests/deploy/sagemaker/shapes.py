"""Checks requests against botocore's models.

botocore itself checks types, required members and minimums before it sends a request. AWS also
checks maximums, patterns and enumerations, which botocore's models contain.
"""

import re
from collections.abc import Iterator
from typing import Any


def problems(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yield what AWS would reject in a request."""
    match shape.type_name:
        case "structure":
            for name, each in value.items():
                yield from problems(shape.members[name], each, f"{path}.{name}")
        case "list":
            yield from _length(shape, value, path)
            for each in value:
                yield from problems(shape.member, each, f"{path}[]")
        case "map":
            for name, each in value.items():
                yield from problems(shape.key, name, f"{path} key")
                yield from problems(shape.value, each, f"{path}.{name}")
        case "string":
            yield from _length(shape, value, path)
            yield from _text(shape, value, path)
        case "integer" | "float" | "double":
            if value > shape.metadata.get("max", value):
                yield f"{path} is above its maximum"
        case _:
            pass


def _length(shape: Any, value: Any, path: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and len(value) > most:
        yield f"{path} is longer than {most}"


def _text(shape: Any, value: str, path: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern", "")
    if shape.enum and value not in shape.enum:
        yield f"{path} is not one of {shape.enum[:5]}"
    # Java's patterns of tags (\p) and of alarm names (\u) are not Python's.
    if pattern and not re.search(r"\\[pu]", pattern) and not re.fullmatch(pattern, value):
        yield f"{path} does not match {pattern}"
