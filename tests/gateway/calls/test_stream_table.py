"""Every state of a stream meets every event: what follows, as one table."""

import pytest

from gateway.calls.ending import (
    CLOSED,
    DRAINED,
    IDLE,
    SILENT,
    STOPPED,
    TERMINATED,
    TOO_LONG,
    Ending,
)
from gateway.calls.stream import StreamState
from gateway.errors import CarrierError, UpstreamError
from gateway.transcript.events import StreamDtmf, StreamStarted, TranscriptGap
from tests.gateway.calls.scene import Scene, living
from tests.gateway.scripted import settle

AWAITING_START, LIVE, ENDING, ENDED = StreamState
STATES = (AWAITING_START, LIVE, ENDING, ENDED)

IGNORED = "ignored"
FENCED = "fenced"

type Outcome = str | Ending

# What it ends with, or the error it raises, in
#               AWAITING_START         LIVE                  ENDING   ENDED
TABLE: dict[str, tuple[Outcome, Outcome, Outcome, Outcome]] = {
    "connected": (IGNORED, IGNORED, IGNORED, IGNORED),
    "start": ("live", IGNORED, IGNORED, IGNORED),
    "another start": ("live", "second-start", IGNORED, IGNORED),
    "media": (IGNORED, "audio", IGNORED, IGNORED),
    "dtmf": (IGNORED, "key", IGNORED, IGNORED),
    "stop": (STOPPED, STOPPED, IGNORED, IGNORED),
    "no message": ("malformed-message",) * 4,
    "binary": ("binary-message",) * 4,
    "close": (CLOSED, CLOSED, IGNORED, IGNORED),
    "drain": (DRAINED, DRAINED, IGNORED, IGNORED),
    "terminate": (TERMINATED, TERMINATED, IGNORED, IGNORED),
    "idle": (IDLE, IDLE, IGNORED, IGNORED),
    "silence": (SILENT, SILENT, IGNORED, IGNORED),
    "too long": (TOO_LONG, TOO_LONG, IGNORED, IGNORED),
    "fence": (IGNORED, FENCED, IGNORED, IGNORED),
    "session fails": (IGNORED, "access-denied", STOPPED, IGNORED),
}

ENDINGS = {
    "close": CLOSED,
    "drain": DRAINED,
    "terminate": TERMINATED,
    "idle": IDLE,
    "silence": SILENT,
    "too long": TOO_LONG,
}


def play(event: str, scene: Scene) -> None:
    match event:
        case "start":
            scene.start()
        case "another start":
            scene.feed("start", start={"callSid": "CA2", "streamSid": "MZ2"})
        case "media":
            scene.audio()
        case "dtmf":
            scene.feed("dtmf", dtmf={"track": "inbound_track", "digit": "1"})
        case "connected" | "stop":
            scene.feed(event)
        case "no message":
            scene.stream.receive_text(b"{")
        case "binary":
            scene.stream.receive_binary(b"\x00")
        case "fence":
            scene.fence()
        case "session fails":
            for stream in scene.transport.streams[:1]:
                stream.close(UpstreamError("access-denied"))
        case _:
            scene.stream.end(ENDINGS[event])


@pytest.mark.parametrize("at", STATES, ids=lambda state: state.name)
@pytest.mark.parametrize("event", TABLE)
async def test_every_event_in_every_state(event: str, at: StreamState) -> None:
    async with living() as (scene, task):
        if at is not AWAITING_START:
            scene.start()
            await settle()
            scene.audio()
        if at in (ENDING, ENDED):
            scene.feed("stop")
            await settle()
        if at is ENDED:
            scene.finish_all()
            await task
        assert scene.stream.state is at
        before, ending = len(scene.events), scene.stream.ending
        outcome = TABLE[event][STATES.index(at)]
        refused = None
        try:
            play(event, scene)
        except CarrierError as error:
            refused = error.reason
        await settle()
        news = scene.events[before:]
        match outcome:
            case Ending():
                assert scene.stream.ending == outcome
            case "live":
                assert [type(event) for event in news] == [StreamStarted]
                assert scene.stream.state is LIVE
            case "audio":
                assert scene.peer.types.count("append") == 2
            case "key":
                assert news == [StreamDtmf("inbound")]
            case "fenced" | "access-denied":
                assert scene.stream.ending is not None
                assert scene.stream.ending.reason == outcome
            case "ignored":
                assert (scene.stream.ending, scene.stream.state) == (ending, at)
                assert [each for each in news if not isinstance(each, TranscriptGap)] == []
            case _:
                assert refused == outcome
        assert refused in (None, outcome)


def test_the_table_is_whole() -> None:
    assert all(len(row) == len(StreamState) for row in TABLE.values())
