"""JSON Schemas of events and of the relay's messages, from their classes. Pure.

The texts are those of the classes' docstrings. Documented values of a string are an `enum` beside
`string`, because version 1 may get new ones.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from workers.client.events import DERIVED_EVENTS, KNOWN_EVENTS, PARTS, Hole, OtherEvent
from workers.relay.call_summary import CallList, LastWords, Summary
from workers.relay.messages import End, Expired, Gone

type Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
EVENTS: Final = (*KNOWN_EVENTS, *DERIVED_EVENTS)
MESSAGES: Final = (Hole, End, Expired, CallList, Summary, Gone)

_AT: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z$"
_ENTRY_ID: Final = r"^\d+-\d+$"
_ID: Final = r"^[A-Za-z0-9._~%-]*$"  # a long id may be cut within an escape
_PATTERNS: Final = {"at": _AT, "id": _ENTRY_ID, "call_id": _ID, "stream_id": _ID}
_DECIMAL: Final = r"^(0|[1-9]\d*)$"
_ATTRIBUTE: Final = re.compile(r"^(\w+): (.+(?:\n +.+)*)", re.MULTILINE)


def to_text(document: Schema) -> str:
    """Return a document as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def tag_of(kind: type[msgspec.Struct]) -> str:
    """Return the value of an event's `type` field."""
    return str(kind.__struct_config__.tag)


def events() -> Schema:
    """Return the schema of an event as JSON."""
    kinds = (*EVENTS, OtherEvent)
    text = (
        "A transcript event as JSON: what the relay sends, and what `workers.client` encodes. "
        "Ignore types, fields and values that you do not know."
    )
    return _document("Transcript event", text, kinds, definitions((*kinds, *PARTS)))


def entries() -> Schema:
    """Return the schema of an event as an entry of a stream in Redis."""
    found = definitions((*EVENTS, *PARTS))
    shapes = {kind.__name__: _flat(found[kind.__name__]) for kind in EVENTS}
    shared = set.intersection(*(set(shape["properties"]) for shape in shapes.values()))
    first = shapes[EVENTS[0].__name__]
    other = {
        **first,
        "title": "OtherEntry",
        "description": "An event of a type that this version does not know; skip it.",
        "properties": {name: first["properties"][name] for name in sorted(shared)},
        "required": [name for name in first["required"] if name in shared],
    }
    known = [tag_of(kind) for kind in EVENTS]
    other["properties"]["type"] = {"type": "string", "not": {"enum": known}}
    text = (
        "A transcript event as an entry of a stream in Redis. Every field is a string: integers "
        "are decimal; arrays and objects are JSON, and `contentSchema` describes their values. The "
        "entry's id is not a field. Ignore types, fields and values that you do not know."
    )
    document = _document("Transcript event in Redis", text, EVENTS, shapes)
    document["anyOf"].append(_ref("OtherEntry"))
    document["$defs"] |= {"OtherEntry": other} | {
        kind.__name__: found[kind.__name__] for kind in PARTS
    }
    return document


def relay() -> Schema:
    """Return the schema of the relay's messages that are not events."""
    text = "The data of a message of the relay other than an event."
    return _document("Message of the relay", text, MESSAGES, definitions((*MESSAGES, LastWords)))


def definitions(kinds: Sequence[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Return the schemas of classes by name; `kinds` must include the classes of their fields."""
    _, found = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    return {kind.__name__: _described(kind, found[kind.__name__]) for kind in kinds}


def _flat(schema: Schema) -> Schema:
    """Return the schema of a class whose fields are strings, as in Redis."""
    fields = {
        name: _as_string(field) for name, field in schema["properties"].items() if name != "id"
    }
    required = [name for name in schema["required"] if name != "id"]
    return {**schema, "properties": fields, "required": required}


def _as_string(field: Schema) -> Schema:
    match field.get("type"):
        case "integer":
            shape = {key: value for key, value in field.items() if key != "minimum"}
            return {**shape, "type": "string", "pattern": _DECIMAL}
        case "array" | "object":
            content = {key: value for key, value in field.items() if key != "description"}
            shape = {"type": "string", "contentMediaType": "application/json"}
            return {"description": field["description"], **shape, "contentSchema": content}
        case _:
            return field


def _document(
    title: str, text: str, kinds: Sequence[type[msgspec.Struct]], found: Mapping[str, Schema]
) -> Schema:
    choices = [_ref(kind.__name__) for kind in kinds]
    head = {"$schema": DIALECT, "title": title, "description": text}
    return {**head, "anyOf": choices, "$defs": dict(found)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _described(kind: type[msgspec.Struct], schema: Schema) -> Schema:
    """Return a class's schema with the texts of its docstring."""
    texts = _attributes(kind)
    fields = {
        name: _field(name, field, texts.get(name, ""))
        for name, field in schema["properties"].items()
    }
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    return {**schema, "description": _joined(text), "properties": fields}


def _field(name: str, field: Schema, text: str) -> Schema:
    if name == "type":
        return {"const": field["enum"][0]}
    if field.get("default", ...) is None:  # such a field is absent instead of null
        field = field["anyOf"][0]
    shape = {key: value for key, value in field.items() if key != "default"}
    if shape.get("type") == "integer":
        shape["minimum"] = 0
    if name in _PATTERNS:
        shape["pattern"] = _PATTERNS[name]
    return {"description": text, **shape}


def _attributes(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the texts of a class's fields: those under "Attributes:" in docstrings."""
    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        _, _, section = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")
        found = _ATTRIBUTE.findall(inspect.cleandoc(section))
        texts |= {name: _joined(text) for name, text in found}
    return texts


def _joined(text: str) -> str:
    return " ".join(text.split())
