"""AudioCodes VoiceAI Connect: the Bot API over a WebSocket, as a bot that only listens. Pure.

    connection.validate
    session.initiate | session.resume . (userStream.start . userStream.chunk* . userStream.stop |
    activities)* . session.end

Texts of JSON. A validation comes alone, on a socket of its own; it and the session and each user
stream are confirmed by a reply. Of the formats offered we take linear audio at 16 kHz, else at 24.
Audio is counted; what is said between user streams is not sent, and takes no time on the stream's
clock.

A bot hears the caller. An agent-assist bot hears the callee, too, on a stream of the participant's:
its URL says so, `wss://.../media/audiocodes?participants=caller,callee`, for a stream's tracks
stand from its start.

After a broken connection the platform connects anew and resumes the conversation. That is another
stream of the same call: the one before ended with its socket, and what it heard is transcribed. A
resume offers no formats: it is taken for linear at 16 kHz, which we choose wherever it is offered.

Upgrades have the bot's token, `Authorization: Bearer <secret>`. Source:
github.com/audiocodes/ac-bot-api, src/websocket.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from common.settings import config
from gateway.carriers.adapter import Adapter
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.events import (
    AudioLost,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    Reply,
)
from gateway.carriers.protocols.dialect import (
    MAX_START_BYTES,
    NOT_UNDERSTOOD,
    USUAL_FRAME_MS,
    decode_base64,
    find,
    find_text,
    lost_bytes,
    read,
    read_id,
)
from gateway.carriers.protocols.early_media import EarlyMedia
from gateway.carriers.protocols.pcm_socket import formats, new_connection_id
from gateway.carriers.protocols.tolerant import fold, scrap
from gateway.carriers.settings import L16Settings, SecretSettings
from gateway.errors import CarrierError

_TRACK_OF: Final = {"caller": "inbound", "callee": "outbound"}
_RATES: Final = {"raw/lpcm16": 16000, "raw/lpcm16_24": 24000}  # in the order of our preference
_ASK_FORMAT: Final = "have the platform offer raw/lpcm16 or raw/lpcm16_24"
_ASK_PARTICIPANTS: Final = "name who is heard in the bot's URL: ?participants=caller,callee"


class AudioCodes(AuthenticatedCarrier):
    """VoiceAI Connect, closed unless its secret is configured.

    Args:
        settings: how it is configured.
        new_id: gives streams their ids.
    """

    name = "audiocodes"

    class Settings(L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_AUDIOCODES_", env_file=".env")

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._new_id = new_id

    def upgrade(self, request: Request) -> Upgrade:
        """Check the bot's token, then what the query says; see `Carrier`."""
        participants = request.query.get("participants") or "caller"
        return self.authenticator.upgrade(
            request, lambda: AudioCodesAdapter(self._new_id(), participants.split(","))
        )


class _Chunk(msgspec.Struct, tag_field="type", tag="userStream.chunk", rename="camel", gc=False):
    audio_chunk: bytes
    participant: str | None = None


_DECODE: Final = msgspec.json.Decoder(_Chunk).decode


class AudioCodesAdapter(Adapter):
    """One stream.

    Args:
        stream_id: the stream's id, because the platform gives none.
        participants: who is heard; whose streams name nobody are the first one's.

    Raises:
        CarrierError: unknown-track: a participant of another name.
    """

    def __init__(self, stream_id: str, participants: Sequence[str]) -> None:
        if not _TRACK_OF.keys() >= set(participants):
            raise CarrierError("unknown-track", _ASK_PARTICIPANTS)
        self._stream_id = stream_id
        self._tracks = {participant: _TRACK_OF[participant] for participant in participants}
        self._first = participants[0]
        self._started: CallStarted | None = None
        self._stopped = False
        self._early = EarlyMedia()
        self._bytes_per_ms = 0
        self._last_bytes = 0  # of audio in the last chunk

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one message; see `Adapter`."""
        try:
            chunk = _DECODE(message)
        except NOT_UNDERSTOOD:
            return self._receive_unusual(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        if self._started is None:
            return self._early.hold(message)
        self._last_bytes = len(chunk.audio_chunk)
        return (AudioReceived(self._track(chunk.participant), chunk.audio_chunk, None, None),)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Refuse: the protocol has text only."""
        raise CarrierError("binary-message")

    def _receive_unusual(self, message: bytes) -> Sequence[CarrierEvent]:
        """Take a message that is no audio, or none as documented."""
        decoded: Mapping[str, object] = {}
        try:
            decoded = read(message)
            name = fold(str(find(decoded, ("type",))))
        except CarrierError:
            name = fold(scrap(message, "type") or "")
            if name != "userstreamchunk":
                raise
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        if self._started is None and name.startswith("userstream"):
            return self._early.hold(message)
        if name == "userstreamchunk":
            return self._loose_audio(message, decoded)
        if len(message) > MAX_START_BYTES:
            raise CarrierError("message-too-big", "text")
        match name:
            case "sessioninitiate" | "sessionresume":
                return self._accept(decoded)
            case "connectionvalidate":
                return (_reply("connection.validated", success=True),)
            case "userstreamstart":
                return (self._confirm("userStream.started", decoded),)
            case "userstreamstop":
                return (self._confirm("userStream.stopped", decoded),)
            case "activities":
                return _read_activities(decoded)
            case "sessionend":
                self._stopped = True
                return (CallStopped(),)
            case _:
                return (MessageIgnored("unknown"),)

    def _accept(self, message: Mapping[str, object]) -> Sequence[CarrierEvent]:
        """Accept a conversation, begun or resumed; what repeats itself is told again."""
        call_id = read_id(message, ("conversationId",))
        media_format = _choose(message)
        accepted = _reply("session.accepted", mediaFormat=media_format)
        if self._started:
            if call_id != self._started.call_id:
                raise CarrierError("second-start")
            return (accepted,)
        bot = find_text(message, ("botName",))
        start = CallStarted(
            call_id=call_id,
            stream_id=self._stream_id,
            tracks=formats([*self._tracks.values()], "l16", _RATES[media_format], _ASK_FORMAT),
            params={"botName": bot} if bot else {},
            is_timed=False,
        )
        self._started = self.correct(start)
        self._bytes_per_ms = self._started.tracks[0].bytes_per_ms
        early = [event for each in self._early.drain() for event in self.receive_text(each)]
        return (self._started, accepted, *early)

    def _confirm(self, what: str, message: Mapping[str, object]) -> Reply:
        participant = find(message, ("participant",))
        self._track(participant)
        return _reply(what, participant=participant) if participant else _reply(what)

    def _loose_audio(self, message: bytes, decoded: Mapping[str, object]) -> Sequence[CarrierEvent]:
        """Process a chunk that is not as documented; what can't be decoded is lost audio.

        Args:
            message: as it came.
            decoded: as it was read; empty if it could not be.
        """
        named = find(decoded, ("participant",)) if decoded else scrap(message, "participant")
        track = self._track(named)
        text = find(decoded, ("audioChunk",))
        payload = decode_base64(text) if isinstance(text, str) else None
        if payload is not None:
            self._last_bytes = len(payload)
            return (AudioReceived(track, payload, None, None),)
        is_text = isinstance(text, str)
        usual_bytes = self._last_bytes or USUAL_FRAME_MS * self._bytes_per_ms
        size = lost_bytes(text, usual_bytes)
        why = MessageIgnored("undecodable-payload" if is_text else "malformed-media")
        return (AudioLost(track, bytes(size), None, None), why)

    def _track(self, participant: object) -> str:
        track = self._tracks.get(fold(str(participant or self._first)))
        if track is None:
            raise CarrierError("unknown-track", _ASK_PARTICIPANTS)
        return track


def _choose(message: Mapping[str, object]) -> str:
    """Choose among the formats that a message offers; what offers none has our favourite."""
    offered = find(message, ("supportedMediaFormats",))
    if isinstance(offered, str):
        offered = [offered]
    if not isinstance(offered, list):
        offered = [*_RATES]
    chosen = next((name for name in _RATES if name in offered), None)
    if chosen is None:
        raise CarrierError("unsupported-encoding", _ASK_FORMAT)
    return chosen


def _read_activities(message: Mapping[str, object]) -> Sequence[CarrierEvent]:
    listed = find(message, ("activities",))
    names = (find(each, ("name",)) for each in listed) if isinstance(listed, list) else ()
    keys = [DtmfReceived(None) for name in names if str(name).lower() == "dtmf"]
    return keys or (MessageIgnored("activities"),)


def _reply(name: str, **fields: object) -> Reply:
    return Reply(msgspec.json.encode({"type": name, **fields}).decode())
