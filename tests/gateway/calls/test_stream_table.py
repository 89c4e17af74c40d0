"""Table of outcomes: every event in every state of a stream."""

import pytest

from gateway.calls.stream import StreamState
from gateway.calls.termination import (
    CLOSED,
    DRAINED,
    IDLE,
    SILENT,
    STOPPED,
    TERMINATED,
    TOO_LONG,
    Termination,
)
from gateway.errors import CarrierError, UpstreamError
from gateway.transcript.events import StreamDtmf, StreamStarted, TranscriptGap
from tests.gateway.calls.stream_harness import StreamHarness, running_stream
from tests.gateway.scripted import settle

AWAITING_START, LIVE, ENDING, ENDED = StreamState
STATES = (AWAITING_START, LIVE, ENDING, ENDED)

IGNORED = "ignored"
FENCED = "fenced"

type Outcome = str | Termination

# The termination, or the reason of the error that is raised, in
#               AWAITING_START         LIVE                  ENDING   ENDED
TABLE: dict[str, tuple[Outcome, Outcome, Outcome, Outcome]] = {
    "connected": (IGNORED, IGNORED, IGNORED, IGNORED),
    "start": ("live", IGNORED, IGNORED, IGNORED),
    "another start": ("live", "second-start", IGNORED, IGNORED),
    "media": (IGNORED, "audio", IGNORED, IGNORED),
    "dtmf": (IGNORED, "key", IGNORED, IGNORED),
    "stop": (STOPPED, STOPPED, IGNORED, IGNORED),
    "malformed text": ("malformed-message",) * 4,
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


def play(event: str, harness: StreamHarness) -> None:
    match event:
        case "start":
            harness.start()
        case "another start":
            harness.feed("start", start={"callSid": "CA2", "streamSid": "MZ2"})
        case "media":
            harness.audio()
        case "dtmf":
            harness.feed("dtmf", dtmf={"track": "inbound_track", "digit": "1"})
        case "connected" | "stop":
            harness.feed(event)
        case "malformed text":
            harness.stream.receive_text(b"{")
        case "binary":
            harness.stream.receive_binary(b"\x00")
        case "fence":
            harness.fence()
        case "session fails":
            for stream in harness.transport.streams[:1]:
                stream.close(UpstreamError("access-denied"))
        case _:
            harness.stream.end(ENDINGS[event])


@pytest.mark.parametrize("at", STATES, ids=lambda state: state.name)
@pytest.mark.parametrize("event", TABLE)
async def test_event_in_each_state_has_the_outcome_of_the_table(
    event: str, at: StreamState
) -> None:
    async with running_stream() as (harness, task):
        if at is not AWAITING_START:
            harness.start()
            await settle()
            harness.audio()
        if at in (ENDING, ENDED):
            harness.feed("stop")
            await settle()
        if at is ENDED:
            harness.finish_all()
            await task
        assert harness.stream.state is at
        before, termination = len(harness.events), harness.stream.termination
        outcome = TABLE[event][STATES.index(at)]
        refused = None
        try:
            play(event, harness)
        except CarrierError as error:
            refused = error.reason
        await settle()
        new_events = harness.events[before:]
        match outcome:
            case Termination():
                assert harness.stream.termination == outcome
            case "live":
                assert [type(event) for event in new_events] == [StreamStarted]
                assert harness.stream.state is LIVE
            case "audio":
                assert harness.peer.types.count("append") == 2
            case "key":
                assert new_events == [StreamDtmf("inbound")]
            case "fenced" | "access-denied":
                assert harness.stream.termination is not None
                assert harness.stream.termination.reason == outcome
            case "ignored":
                assert (harness.stream.termination, harness.stream.state) == (termination, at)
                assert [each for each in new_events if not isinstance(each, TranscriptGap)] == []
            case _:
                assert refused == outcome
        assert refused in (None, outcome)


def test_table_has_an_outcome_for_every_state() -> None:
    assert all(len(row) == len(StreamState) for row in TABLE.values())
