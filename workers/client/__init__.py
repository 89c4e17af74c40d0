"""The kit for readers of transcript events: what an application imports.

    from workers.client import CallTranscript, create_client, follow

    client = create_client("redis://127.0.0.1:6379/0")
    call = CallTranscript("CA1")
    async for event in follow(client, "CA1"):
        if isinstance(event, Hole): ...      # events are missing
        else: call.apply(event)

events      the events, one class per type, parsed from entries
transcript  folds a call's events into text; checks their numbering
follow      follows one call, or all calls: resumes, proves completeness, ends with the call
ids         what the ids of entries contain
reading     reads any number of streams at once: single server, sentinels, cluster

Workers that share the calls among processes use `workers.consumer`. docs/events.md is the reference
of the events.
"""

from gateway.redis_client.client import create_client
from gateway.transcript.keys import encode_id
from workers.client.events import (
    AnyEvent,
    AssistAlert,
    AssistWrapup,
    Event,
    EventError,
    Hole,
    OtherEvent,
    StreamDtmf,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    Track,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
    read_event,
)
from workers.client.follow import follow, follow_all
from workers.client.transcript import CallTranscript, Segment

__all__ = [
    "AnyEvent",
    "AssistAlert",
    "AssistWrapup",
    "CallTranscript",
    "Event",
    "EventError",
    "Hole",
    "OtherEvent",
    "Segment",
    "StreamDtmf",
    "StreamEnded",
    "StreamPaused",
    "StreamResumed",
    "StreamStarted",
    "Track",
    "TranscriptDelta",
    "TranscriptFinal",
    "TranscriptGap",
    "create_client",
    "encode_id",
    "follow",
    "follow_all",
    "read_event",
]
