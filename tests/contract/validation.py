"""Validates events against docs/schemas/; a field that a schema does not have is a fault, too."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from cli.contract import SCHEMAS
from workers.client.events import Entry
from workers.relay.messages import item

type Schema = dict[str, Any]


@functools.cache
def schema(name: str) -> Schema:
    """Return a document of docs/schemas/."""
    document: Schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return document


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """Return the validator of a document of docs/schemas/."""
    Draft202012Validator.check_schema(schema(name))
    return Draft202012Validator(schema(name))


def definition(name: str, kind: str) -> Schema:
    """Return the definition of an event's type in a document."""
    found: Schema = next(
        each
        for each in schema(name)["$defs"].values()
        if each["properties"].get("type", {}).get("const") == kind
    )
    return found


def assert_valid_entry(fields: Mapping[str, str]) -> None:
    """Assert that an entry of a stream in Redis, and the JSON inside it, is as the schema says."""
    validator("entry.json").validate(dict(fields))
    own = definition("entry.json", fields["type"])["properties"]
    assert fields.keys() <= own.keys()
    for name, value in fields.items():
        if "contentSchema" in own[name]:
            content = {**own[name]["contentSchema"], "$defs": schema("entry.json")["$defs"]}
            Draft202012Validator(content).validate(json.loads(value))


def assert_valid_json(entry_id: str, fields: Mapping[str, str]) -> None:
    """Assert that the relay's message about an entry is as the schema says."""
    event = json.loads(item(Entry(entry_id, dict(fields)), 0).of_call.data)
    validator("event.json").validate(event)
    assert event.keys() == {"id", *fields}
    assert event.keys() <= definition("event.json", fields["type"])["properties"].keys()
