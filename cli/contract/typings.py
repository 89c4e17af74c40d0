"""TypeScript typings of events, from their JSON Schemas. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from cli.contract.schemas import EVENTS, Schema, definitions
from workers.client.events import DERIVED_EVENTS, KNOWN_EVENTS, PARTS, Hole, OtherEvent

_WIDTH: Final = 100
_HEAD: Final = """/**
 * The events of a call, version 1, as the relay sends them: integers as numbers, JSON as objects.
 *
 * Generated from the classes of workers/client/events.py by `./run fix`.
 */
"""
_PRIMITIVES: Final = {"string": "string", "integer": "number", "boolean": "boolean"}
_ENVELOPE: Final = "Envelope"


def render() -> str:
    """Return the module."""
    kinds = (*EVENTS, OtherEvent)
    found = definitions((*PARTS, *kinds, Hole))
    shared = set.intersection(*(set(found[kind.__name__]["properties"]) for kind in kinds))
    shared.discard("type")
    first = found[EVENTS[0].__name__]
    envelope = {
        "description": "The fields that all events have.",
        "properties": {
            name: first["properties"][name] for name in first["properties"] if name in shared
        },
        "required": first["required"],
    }
    events = [
        _interface(kind.__name__, _own(found[kind.__name__], shared), _ENVELOPE) for kind in kinds
    ]
    parts = [
        _HEAD.rstrip(),
        *_aliases(found.values()),
        *(_interface(kind.__name__, found[kind.__name__]) for kind in PARTS),
        _interface(_ENVELOPE, envelope),
        *events,
        _interface(Hole.__name__, found[Hole.__name__]),
        _union("TranscriptEvent", [kind.__name__ for kind in (*KNOWN_EVENTS, OtherEvent)]),
        _union("DerivedEvent", [kind.__name__ for kind in DERIVED_EVENTS]),
    ]
    return "\n\n".join(parts) + "\n"


def _own(schema: Schema, shared: set[str]) -> Schema:
    """Return the schema of an event without the fields that all events have."""
    own = {name: field for name, field in schema["properties"].items() if name not in shared}
    return {**schema, "properties": own}


def _interface(name: str, schema: Schema, base: str = "") -> str:
    """Return an exported interface."""
    extends = f" extends {base}" if base else ""
    lines = [_comment(schema["description"]), f"export interface {name}{extends} {{"]
    for field, shape in schema["properties"].items():
        if text := shape.get("description"):
            lines.append(_comment(text, "  "))
        mark = "" if field == "type" or field in schema["required"] else "?"
        lines.append(f"  {field}{mark}: {_type(shape)};")
    return "\n".join([*lines, "}"])


def _comment(text: str, indent: str = "") -> str:
    """Return a doc comment, in several lines if it is long."""
    text = text[:1].upper() + text[1:]
    text += "" if text.endswith((".", "…")) else "."
    line = f"{indent}/** {text} */"
    if len(line) <= _WIDTH:
        return line
    lines = [""]
    for word in text.split(" "):
        if len(indent) + len(" * ") + len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("")
        lines[-1] += f" {word}"
    body = [f"{indent} *{each}" for each in lines]
    return "\n".join([f"{indent}/**", *body, f"{indent} */"])


def _type(shape: Schema) -> str:
    """Return the type of a value."""
    if "const" in shape:
        return f'"{shape["const"]}"'
    if "$ref" in shape:
        return str(shape["$ref"]).rpartition("/")[2]
    if "anyOf" in shape:
        return str(shape["title"])
    match shape["type"]:
        case "array":
            return f"{_type(shape['items'])}[]"
        case "object":
            return f"Record<string, {_type(shape['additionalProperties'])}>"
        case simple:
            return _PRIMITIVES[simple]


def _aliases(schemas: Iterable[Schema]) -> list[str]:
    """Return a named type for each string with documented values."""
    shapes = (shape for schema in schemas for shape in schema["properties"].values())
    values = {each["title"]: each["anyOf"][0]["enum"] for shape in shapes for each in _open(shape)}
    return [
        _union(name, [*(f'"{value}"' for value in known), "(string & {})"])
        for name, known in sorted(values.items())
    ]


def _open(shape: Schema) -> Iterator[Schema]:
    if "anyOf" in shape:
        yield shape
    if "additionalProperties" in shape:
        yield from _open(shape["additionalProperties"])


def _union(name: str, members: list[str]) -> str:
    line = f"export type {name} = {' | '.join(members)};"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"export type {name} =", *(f"  | {each}" for each in members)]) + ";"
