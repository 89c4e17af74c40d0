"""Play a recording to an adapter; the package describes the format."""

import base64
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
    AudioHeld,
    AudioLost,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    Reply,
    StreamPaused,
    StreamResumed,
)
from gateway.errors import CarrierError

_FOLDER = Path(__file__).parent
_CAUSES = {"in", "binary", "closed", "ended"}


def recordings(carrier: str) -> list[Path]:
    """Return the paths of a carrier's recordings."""
    return sorted((_FOLDER / carrier).glob("*.jsonl"))


def play(recording: Path, adapter: Adapter) -> None:
    """Pass a recording's messages to an adapter, and compare the events with the recorded ones."""
    head, *lines = (json.loads(line) for line in recording.read_text().splitlines() if line)
    assert head["source"]
    found: list[dict[str, Any]] = []
    tracks: list[str] = []
    for number, line in enumerate(lines, start=2):
        if line.keys() & _CAUSES:
            assert found == [], f"line {number}: more events than recorded before it"
            try:
                events = _receive(adapter, line, tracks)
                starts = [event for event in events if isinstance(event, CallStarted)]
                tracks += [form.track for start in starts for form in start.tracks]
                found = [spell(event) for event in events]
            except CarrierError as error:
                found = [{"refused": error.reason}]
        else:
            assert found, f"line {number}: fewer events than recorded before it"
            actual = found.pop(0)
            assert _only(actual, line) == line, f"line {number}"
    assert found == [], "more events than recorded at the end"


def spell(event: CarrierEvent) -> dict[str, Any]:
    """Convert an event to its form in recordings."""
    match event:
        case CallStarted():
            fields = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
            tracks = [[t.track, t.encoding.value, t.rate_hz] for t in event.tracks]
            return {"started": fields | {"tracks": tracks}}
        case AudioReceived():
            payload = base64.b64encode(event.payload).decode()
            return {"audio": [event.track, payload, event.timestamp_ms, event.sequence]}
        case AudioLost():
            return {"lost": [event.track, len(event.payload), event.timestamp_ms, event.sequence]}
        case AudioHeld():
            return {"held": event.track}
        case DtmfReceived():
            return {"dtmf": event.track}
        case StreamPaused():
            return {"paused": True}
        case StreamResumed():
            return {"resumed": event.at_ms}
        case CallStopped():
            return {"stopped": True}
        case MessageIgnored():
            return {"ignored": event.kind}
        case Reply():
            return {"reply": json.loads(event.message)}


def _receive(
    adapter: Adapter, line: dict[str, Any], tracks: Sequence[str]
) -> Sequence[CarrierEvent]:
    if "in" in line:
        message = line["in"]
        text = message if isinstance(message, str) else json.dumps(message)
        return adapter.receive_text(text.encode())
    if "binary" in line:
        return adapter.receive_binary(base64.b64decode(line["binary"]))
    if "ended" in line:
        return adapter.farewell(line["ended"])
    return [*adapter.begin(), *(frame for track in tracks for frame in adapter.flush_held(track))]


def _only(actual: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Drop the fields of a start that the recording does not mention."""
    if "started" in actual and "started" in expected:
        named = expected["started"]
        return {"started": {name: v for name, v in actual["started"].items() if name in named}}
    return actual
