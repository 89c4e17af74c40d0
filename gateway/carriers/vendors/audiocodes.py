"""AudioCodes VoiceAI Connect: the Bot API over a WebSocket, as a bot that only listens. Pure.

    connection.validate
    session.initiate | session.resume . (userStream.start . userStream.chunk* . userStream.stop |
    activities)* . session.end

Messages are JSON texts. A validation is the only message on its socket. Validations, sessions and
user streams are each confirmed by a reply. Of the offered formats, the gateway chooses linear audio
at 16 kHz, else at 24. Audio is counted. Audio between user streams is not sent, and takes no time
on the stream's clock.

A bot receives the caller's audio. An agent-assist bot also receives the callee's, in a user stream
of that participant. Because a stream's tracks are fixed at its start, the URL has to announce it:
`wss://.../media/audiocodes?participants=caller,callee`.

After a lost connection the platform reconnects and resumes the conversation. That is a new stream
of the same call: the previous stream ended with its socket, and its audio is transcribed. A resume
offers no formats. The gateway assumes linear audio at 16 kHz, its preferred format.

Upgrades carry the bot's token, `Authorization: Bearer <secret>`. Source:
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
_RATES: Final = {"raw/lpcm16": 16000, "raw/lpcm16_24": 24000}  # in order of preference
_ASK_FORMAT: Final = "configure the platform to offer raw/lpcm16 or raw/lpcm16_24"
_ASK_PARTICIPANTS: Final = "name the participants in the bot's URL: ?participants=caller,callee"


class AudioCodes(AuthenticatedCarrier):
    """VoiceAI Connect; disabled unless its secret is configured.

    Args:
        settings: the carrier's settings.
        new_id: returns a new stream id.
    """

    name = "audiocodes"

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_AUDIOCODES_", env_file=".env")

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._new_id = new_id

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the bot's token, then parse the query; see `Carrier`."""
        participants = request.query.get("participants") or "caller"
        return self.authenticator.upgrade(
            request, lambda: AudioCodesAdapter(self._new_id(), participants.split(","))
        )


class _Chunk(msgspec.Struct, tag_field="type", tag="userStream.chunk", rename="camel", gc=False):
    audio_chunk: bytes
    participant: str | None = None


_DECODE: Final = msgspec.json.Decoder(_Chunk).decode


class AudioCodesAdapter(Adapter):
    """The adapter of one stream.

    Args:
        stream_id: the stream's id, because the platform sends none.
        participants: the participants to transcribe. User streams that name no participant belong
            to the first one.

    Raises:
        CarrierError: unknown-track: a participant is unknown.
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
        self._last_bytes = 0  # audio in the last chunk

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one message; see `Adapter`."""
        try:
            chunk = _DECODE(message)
        except NOT_UNDERSTOOD:
            return self._receive_other(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        if self._started is None:
            return self._early.hold(message)
        self._last_bytes = len(chunk.audio_chunk)
        return (AudioReceived(self._track(chunk.participant), chunk.audio_chunk, None, None),)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Raise CarrierError: the protocol has only text messages."""
        raise CarrierError("binary-message")

    def _receive_other(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse a message that is not audio, or not as documented."""
        name, decoded = _name_of(message)
        if self._stopped:
            return (MessageIgnored("after-stop"),)
        if self._started is None and name.startswith("userstream"):
            return self._early.hold(message)
        if name == "userstreamchunk":
            return self._undocumented_media(message, decoded)
        if len(message) > MAX_START_BYTES:
            raise CarrierError("message-too-big", "text")
        match name:
            case "sessioninitiate" | "sessionresume":
                return self._accept(decoded)
            case "connectionvalidate":
                return (_reply("connection.validated", success=True),)
            case "userstreamstart" | "userstreamstop":
                done = "started" if name == "userstreamstart" else "stopped"
                return (self._confirm(f"userStream.{done}", decoded),)
            case "activities":
                return _read_activities(decoded)
            case "sessionend":
                self._stopped = True
                return (CallStopped(),)
            case _:
                return (MessageIgnored("unknown"),)

    def _accept(self, message: Mapping[str, object]) -> Sequence[CarrierEvent]:
        """Accept a new or resumed conversation; a repeated request is accepted again."""
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

    def _undocumented_media(
        self, message: bytes, decoded: Mapping[str, object]
    ) -> Sequence[CarrierEvent]:
        """Return the events of a chunk that is not as documented; undecodable audio is lost.

        Args:
            message: the raw message.
            decoded: the parsed message; empty if it could not be parsed.
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


def _name_of(message: bytes) -> tuple[str, Mapping[str, object]]:
    """Return a message's folded type, and its fields; none if it is audio in damaged JSON."""
    try:
        decoded = read(message)
        return fold(str(find(decoded, ("type",)))), decoded
    except CarrierError:
        name = fold(scrap(message, "type") or "")
        if name != "userstreamchunk":
            raise
        return name, {}


def _choose(message: Mapping[str, object]) -> str:
    """Choose one of the formats that a message offers; the preferred one if it offers none."""
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
