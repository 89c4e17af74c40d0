"""Generates docs/schemas/ and the typings of events from the classes of readers and of the relay.

schemas   JSON Schemas: events as JSON, events as entries in Redis, messages of the relay
asyncapi  the AsyncAPI document: streams in Redis, feeds of the relay
typings   the TypeScript typings of the relay's JavaScript client
"""

from pathlib import Path
from typing import Final

from cli.contract import asyncapi, schemas, typings

_ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMAS: Final = _ROOT / "docs/schemas"
TYPINGS: Final = _ROOT / "workers/relay/static/events.d.ts"


def render() -> dict[Path, str]:
    """Return the text of each generated file."""
    documents = {
        "event.json": schemas.events(),
        "entry.json": schemas.entries(),
        "relay.json": schemas.relay(),
        "asyncapi.json": asyncapi.document(),
    }
    files = {SCHEMAS / name: schemas.to_text(document) for name, document in documents.items()}
    return {**files, TYPINGS: typings.render()}


def write() -> None:
    """Write the generated files."""
    for path, text in render().items():
        path.write_text(text, encoding="utf-8")
