"""Genesys Cloud AudioHook, protocol version 2 (Monitor, Transcription and Audio Connector). Pure.

    open > opened . (audio | ping > pong | paused . resumed | discarded | update > updated)* .
    close > closed

Both sides send JSON texts, numbered from 1 without a hole in either direction. Audio is binary,
without number or timestamp. Two channels are interleaved sample by sample, in the order of the
chosen media. The position of a sample is the audio sent before it plus the audio left out, which
`resumed` and `discarded` announce. An `open` without a conversation only probes the connection.

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
_BYTES_PER_MS: Final = 16  # two channels
_NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"  # a probe's conversation
_ROLES: Final = {"external": "customer", "internal": "agent"}
_NOTES: Final = frozenset({"error", "playback_started", "playback_completed"})


class AudioHookAdapter(Adapter):
    """The adapter of one AudioHook session.

    Args:
        session_id: the session's id in the upgrade's signed headers.
        organization_id: the organization's id in these headers.
        send_transcripts: whether to send final transcripts to Genesys.
    """

    farewell_within_s = 8.0  # the client waits 10 s for the reply to its `close`

    def __init__(
        self, session_id: str, organization_id: str, *, send_transcripts: bool = False
    ) -> None:
        self._session_id = session_id
        self._organization_id = organization_id
        self._sends_transcripts = send_transcripts  # until the closing message
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
        self._is_leaving = False  # the gateway has requested the close
        self._is_closed = False

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one message; see `Adapter`."""
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
            case _:  # after an error, the client closes the session itself
                return (MessageIgnored(received.type if received.type in _NOTES else "unknown"),)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse audio of all channels; see `Adapter`."""
        if self._is_closed:
            raise CarrierError("out-of-sequence", "audio after close")
        if not self._is_open:
            return self._early.hold(message)
        if self._is_probe:
            return (MessageIgnored("unwanted-audio"),)
        parts = self._split(message)
        timestamp_ms = self._position_ms
        self._position_samples += len(parts[0]) // self._sample_bytes
        if self._is_paused:  # speech during a pause must not be transcribed
            return (MessageIgnored("unwanted-audio"),)
        return tuple(
            AudioReceived(channel, part, timestamp_ms, None)
            for channel, part in zip(self._channels, parts, strict=True)
        )

    def farewell(self, reason: str) -> Sequence[Reply]:
        """Reply to the client's close, or request it; see `Adapter`."""
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
        """Whether the requested close has not arrived yet; see `Adapter`."""
        return self._is_leaving and not self._is_closed

    def transcript(
        self, track: str, segment: int, text: str, *, start_ms: int, end_ms: int
    ) -> Sequence[Reply]:
        """Return the event for a final transcript, whose id is stable; see `Adapter`."""
        if not self._sends_transcripts:
            return ()
        words = {"type": "display", "transcript": text, "tokens": []}
        data = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._session_id}/{track}/{segment}")),
            "channelId": self._channels.index(track),
            "isFinal": True,
            "offset": _spell_duration(start_ms),
            "duration": _spell_duration(end_ms - start_ms),
            # A confidence is required, but the model returns none.
            "alternatives": [{"confidence": 1.0, "interpretations": [words]}],
        }
        return (self._reply("event", {"entities": [{"type": "transcript", "data": data}]}),)

    def _check(self, message: Message) -> None:
        """Check the session's id, and that no message is missing in either direction."""
        if message.id != self._session_id:
            raise CarrierError("identity-mismatch", "session")
        if message.seq != self._client_seq + 1 or (message.serverseq or 0) > self._seq:
            raise CarrierError("out-of-sequence")
        self._client_seq = message.seq

    def _open(self, parameters: Open) -> Iterator[CarrierEvent]:
        if self._is_open:
            yield MessageIgnored("repeated-start")
            return
        if parameters.organization_id != self._organization_id:
            raise CarrierError("identity-mismatch", "organization")
        self._is_probe = parameters.conversation_id == _NIL_UUID
        media = []
        if parameters.media or not self._is_probe:
            chosen, self._channels = choose(parameters.media)
            media.append(chosen)
        self._is_open = True
        yield self._reply("opened", {"startPaused": False, "media": media})
        if not self._is_probe:
            yield self._start(parameters)
        for early in self._early.drain():
            yield from self.receive_binary(early)

    def _start(self, parameters: Open) -> CallStarted:
        start = self.correct(
            CallStarted(
                call_id=parameters.conversation_id,
                stream_id=self._session_id,
                tracks=tuple(TrackFormat(c, Encoding.PCMU, _RATE_HZ) for c in self._channels),
                params=parameters.params,
                called=parameters.called,
                roles={channel: _ROLES[channel] for channel in self._channels},
            )
        )
        self._sample_bytes = start.tracks[0].encoding.sample_bytes
        self._split = Deinterleaver(len(self._channels), self._sample_bytes).split
        return start

    @property
    def _position_ms(self) -> int:
        """Position of the next audio on the stream's media clock."""
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
