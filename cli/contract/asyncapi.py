"""The AsyncAPI document of the contract: streams in Redis, and feeds of the relay. Pure."""

from typing import Final

from cli.contract.schemas import DIALECT, EVENTS, MESSAGES, Schema, tag_of
from gateway.transcript.events import VERSION
from workers.client.events import DERIVED_EVENTS, KNOWN_EVENTS, OtherEvent
from workers.relay.call_summary import CallList, Summary
from workers.relay.messages import End, Expired, Gone

_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_DESCRIPTION: Final = f"""Transcript events of live calls. docs/events.md is the reference.

Redis streams have entries of flat strings: entry.json. The relay sends the same events as JSON:
event.json. Its other messages are in relay.json. All schemas are JSON Schema ({DIALECT}).

Ignore types, fields and values that you do not know: version {VERSION} may get new ones."""
_PARTITION: Final = {
    "description": "The partition of the call as a hash tag, with its braces: `p` and the CRC-32 "
    "of the plain call id, modulo the number of partitions, with at least two digits.",
    "default": "{p00}",
    "examples": ["{p00}", "{p53}"],
}
_CALL_ID: Final = {"description": "The carrier's id of the call, percent-encoded."}
_RESUME: Final = (
    "A request with the header `Last-Event-ID`, or the query `after`, continues after that message."
)
_STREAMS: Final = (
    ("call", "cs:{partition}:call:{call_id}", "The events of one call, in order."),
    ("partition", "cs:{partition}:events", "The events of all calls of a partition."),
    (
        "redactedCall",
        "cs:{partition}:call:{call_id}:redacted",
        "The redacted copy of one call.",
    ),
    (
        "redactedPartition",
        "cs:{partition}:redacted",
        "The redacted copies of a partition.",
    ),
    ("callAlerts", "cs:{partition}:call:{call_id}:alerts", "The alerts of one call."),
    ("partitionAlerts", "cs:{partition}:alerts", "The alerts of a partition."),
    (
        "callWrapups",
        "cs:{partition}:call:{call_id}:wrapups",
        "The summaries of one call that were made from raw text.",
    ),
    ("partitionWrapups", "cs:{partition}:wrapups", "The same of a partition."),
    (
        "redactedCallWrapups",
        "cs:{partition}:call:{call_id}:redacted-wrapups",
        "The summaries of one call that were made from redacted text.",
    ),
    ("redactedPartitionWrapups", "cs:{partition}:redacted-wrapups", "The same of a partition."),
)
_NAMES: Final = {
    "Hole": "hole",
    "End": "end",
    "Expired": "expired",
    "CallList": "calls",
    "Summary": "call",
    "Gone": "gone",
}


def document() -> Schema:
    """Return the document; its schemas are references to the files beside it."""
    relayed = [kind.__name__ for kind in (*KNOWN_EVENTS, OtherEvent)]
    channels = {name: _stream(address, text) for name, address, text in _STREAMS}
    channels |= {
        "relayedCall": _feed(
            "/api/calls/{call_id}/events",
            "The events of one call, from its beginning until it ends or is erased. The id of a "
            f"message is the entry's id. {_RESUME}",
            [*relayed, "Hole", End.__name__, Gone.__name__, Expired.__name__],
        ),
        "relayedAssist": _feed(
            "/api/calls/{call_id}/assist",
            "The alerts and wrap-ups of one call, also those after its end. The id of a message "
            f"has an entry's id for each of their streams. {_RESUME}",
            [*(kind.__name__ for kind in DERIVED_EVENTS), Expired.__name__],
        ),
        "relayedCalls": _feed(
            "/api/events",
            "The events of all calls, in the order in which they were written. The id of a "
            f"message is the entry's id and the partition. {_RESUME}",
            [*relayed, Expired.__name__],
        ),
        "callList": _feed(
            "/api/calls/live",
            "The list of calls, then its changes.",
            [CallList.__name__, Summary.__name__, Gone.__name__, Expired.__name__],
        ),
    }
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Callscribe transcript events",
            "version": VERSION,
            "description": _DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": channels,
        "operations": {name: _operation(name, channel) for name, channel in channels.items()},
        "components": {"messages": _messages()},
    }


def _servers() -> Schema:
    return {
        "redis": {
            "host": "redis.example.com:6379",
            "protocol": "redis",
            "description": "Redis ≥ 7.0 or Valkey ≥ 8: a single server or a cluster.",
        },
        "relay": {
            "host": "relay.example.com",
            "protocol": "https",
            "description": "The relay: server-sent events. A WebSocket handshake gets the messages "
            "on a WebSocket, each as an object with `id`, `event` and `data`.",
        },
    }


def _stream(address: str, text: str) -> Schema:
    parameters: Schema = {"partition": _PARTITION}
    if "{call_id}" in address:
        parameters["call_id"] = _CALL_ID
    names = [*(f"{kind.__name__}Entry" for kind in EVENTS), "OtherEntry"]
    return {**_channel("redis", address, text, names), "parameters": parameters}


def _feed(address: str, text: str, names: list[str]) -> Schema:
    channel = _channel("relay", address, text, names)
    return {**channel, "parameters": {"call_id": _CALL_ID}} if "{" in address else channel


def _channel(server: str, address: str, text: str, names: list[str]) -> Schema:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    servers = [{"$ref": f"#/servers/{server}"}]
    return {"address": address, "description": text, "servers": servers, "messages": messages}


def _operation(name: str, channel: Schema) -> Schema:
    operation: Schema = {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}
    if channel["address"].startswith("/"):
        operation["bindings"] = {"http": {"method": "GET", "bindingVersion": "0.3.0"}}
    return operation


def _messages() -> Schema:
    found = {
        f"{kind.__name__}Entry": _message(tag_of(kind), "entry", kind.__name__) for kind in EVENTS
    }
    found["OtherEntry"] = _message("other", "entry", "OtherEntry")
    for kind in (*EVENTS, OtherEvent):
        found[kind.__name__] = _message(tag_of(kind), "event", kind.__name__)
    for named in MESSAGES:
        found[named.__name__] = _message(_NAMES[named.__name__], "relay", named.__name__)
    return found


def _message(name: str, file: str, definition: str) -> Schema:
    schema = {"$ref": f"./{file}.json#/$defs/{definition}"}
    return {"name": name, "payload": {"schemaFormat": _FORMAT, "schema": schema}}
