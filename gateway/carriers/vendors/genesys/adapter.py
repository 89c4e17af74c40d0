"""Genesys Cloud AudioHook, protocol version 2 (Monitor, Transcription and Audio Connector). Pure.

    open > opened . (audio | ping > pong | paused . resumed | discarded | update > updated)* .
    close > closed

JSON texts both ways, numbered from 1 without a hole in either direction; audio is binary, without
number or time. Two channels lie in it sample by sample, in the order of the media that we chose.
The position of a sample is what was sent before it and what was left out: `resumed` and `discarded`
say how much that is. An `open` without a conversation only probes the connection.

A Monitor must never be sent binary messages. Sources: developer.genesys.cloud/devapps/audiohook;
github.com/purecloudlabs/audiohook-reference-implementation, app/audiohook/src.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gateway.audio.channels import Deinterleaver
from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
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
from gateway.carriers.protocols.early_media import EarlyMedia
from gateway.carriers.vendors.genesys.messages import LeftOut, Message, Open, choose, decode, read
from gateway.errors import REASONS, CarrierError

_RATE_HZ: Final = 8000
_BYTES_PER_MS: Final = 16  # of two channels
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"  # a probe's conversation
_ROLES: Final = {"external": "customer", "internal": "agent"}
_NOTES: Final = frozenset({"error", "playback_started", "playback_completed"})


class AudioHookAdapter(Adapter):
    """One AudioHook session.

    Args:
        session_id: as the upgrade's signed headers have it.
        organization_id: likewise.
        send_transcripts: tell Genesys final texts.
    """

    farewell_within_s = 8.0  # the client gives its `close` 10 s

    def __init__(
        self, session_id: str, organization_id: str, *, send_transcripts: bool = False
    ) -> None:
        self._session_id = session_id
        self._organization_id = organization_id
        self._sends_transcripts = send_transcripts  # until the goodbye
        self._client_seq = 0
        self._seq = 0
        self._is_open = False
        self._channels: tuple[str, ...] = ()
        self._split = Deinterleaver(1, 1).split
        self._sample_bytes = 1
        self._position_samples = 0
        self._early = EarlyMedia(_BYTES_PER_MS)
        self._is_probe = False
        self._is_paused = False
        self._is_leaving = False  # we have asked for the close
        self._is_closed = False

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one message; see `Adapter`."""
        if self._is_closed:
            return (MessageIgnored("after-stop"),)
        received = read(message)
        self._check(received)
        match received.type:
            case "open":
                return tuple(self._open(Open.read(received.parameters)))
            case "ping":
                return (self._reply("pong"),)
            case "update":
                return (self._reply("updated"),)
            case "paused":
                self._is_paused = True
                return (StreamPaused(),)
            case "resumed":
                self._skip(decode(received.parameters, LeftOut))
                self._is_paused = False
                return (StreamResumed(self._position_ms),)
            case "discarded":
                self._skip(decode(received.parameters, LeftOut))
                return ()
            case "dtmf":
                return (DtmfReceived(None),)
            case "close":
                self._is_closed = True
                return (self._reply("closed") if self._is_leaving else CallStopped(),)
            case _:  # the client closes after its errors
                return (MessageIgnored(received.type if received.type in _NOTES else "unknown"),)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Take audio of all channels; see `Adapter`."""
        if self._is_closed:
            raise CarrierError("out-of-sequence", "audio after close")
        if not self._is_open:
            return self._early.hold(message)
        if self._is_probe:
            return (MessageIgnored("unwanted-audio"),)
        parts = self._split(message)
        timestamp_ms = self._position_ms
        self._position_samples += len(parts[0]) // self._sample_bytes
        if self._is_paused:  # what is said in a pause is not for us
            return (MessageIgnored("unwanted-audio"),)
        return tuple(
            AudioReceived(channel, part, timestamp_ms, None)
            for channel, part in zip(self._channels, parts, strict=True)
        )

    def farewell(self, reason: str) -> Sequence[Reply]:
        """Answer the client's close, or ask for it; see `Adapter`."""
        self._sends_transcripts = False
        if self._is_closed:
            return (self._reply("closed"),)
        if reason == "identity-mismatch":
            category = "unauthorized"
        else:
            category = "error" if reason in REASONS else "completed"
        self._is_leaving = True
        return (self._reply("disconnect", {"reason": category, "info": reason}),)

    @property
    def awaits_answer(self) -> bool:
        """Whether we asked for the client's close, and it has not come; see `Adapter`."""
        return self._is_leaving and not self._is_closed

    def transcript(
        self, track: str, segment: int, text: str, *, start_ms: int, end_ms: int
    ) -> Sequence[Reply]:
        """Tell Genesys a final text; see `Adapter`. The same segment always has the same id."""
        if not self._sends_transcripts:
            return ()
        words = {"type": "display", "transcript": text, "tokens": []}
        data = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._session_id}/{track}/{segment}")),
            "channelId": self._channels.index(track),
            "isFinal": True,
            "offset": _spell_duration(start_ms),
            "duration": _spell_duration(end_ms - start_ms),
            # A confidence is required, but the model gives none.
            "alternatives": [{"confidence": 1.0, "interpretations": [words]}],
        }
        return (self._reply("event", {"entities": [{"type": "transcript", "data": data}]}),)

    def _check(self, message: Message) -> None:
        """Check who speaks, and that no message is missing in either direction."""
        if message.id != self._session_id:
            raise CarrierError("identity-mismatch", "session")
        if message.seq != self._client_seq + 1 or (message.serverseq or 0) > self._seq:
            raise CarrierError("out-of-sequence")
        self._client_seq = message.seq

    def _open(self, said: Open) -> Iterator[CarrierEvent]:
        if self._is_open:
            yield MessageIgnored("repeated-start")
            return
        if said.organization_id != self._organization_id:
            raise CarrierError("identity-mismatch", "organization")
        self._is_probe = said.conversation_id == _NOBODY
        media = []
        if said.media or not self._is_probe:
            chosen, self._channels = choose(said.media)
            media.append(chosen)
        self._is_open = True
        yield self._reply("opened", {"startPaused": False, "media": media})
        if not self._is_probe:
            yield self._start(said)
        for early in self._early.drain():
            yield from self.receive_binary(early)

    def _start(self, said: Open) -> CallStarted:
        start = self.correct(
            CallStarted(
                call_id=said.conversation_id,
                stream_id=self._session_id,
                tracks=tuple(TrackFormat(c, Encoding.PCMU, _RATE_HZ) for c in self._channels),
                params=said.params,
                called=said.called,
                roles={channel: _ROLES[channel] for channel in self._channels},
            )
        )
        self._sample_bytes = start.tracks[0].encoding.sample_bytes
        self._split = Deinterleaver(len(self._channels), self._sample_bytes).split
        return start

    @property
    def _position_ms(self) -> int:
        """Where the next audio lies on the stream's media clock."""
        return self._position_samples * 1000 // _RATE_HZ

    def _skip(self, left_out: LeftOut) -> None:
        self._position_samples = max(self._position_samples, round(left_out.end_s * _RATE_HZ))

    def _reply(self, type_: str, parameters: Mapping[str, object] | None = None) -> Reply:
        self._seq += 1
        message = {
            "version": "2",
            "id": self._session_id,
            "type": type_,
            "seq": self._seq,
            "clientseq": self._client_seq,
            "parameters": parameters or {},
        }
        return Reply(msgspec.json.encode(message).decode())


def _spell_duration(duration_ms: int) -> str:
    return f"PT{duration_ms / 1000}S"
