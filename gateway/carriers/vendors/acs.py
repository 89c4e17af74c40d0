"""Azure Communication Services: Call Automation's audio streaming. Pure.

    AudioMetadata . (AudioData | DtmfData ...)*

Messages are JSON texts, whose keys may have any case. Audio is linear, little-endian, at 16 or
24 kHz, with wall-clock timestamps: the stream's clock begins with its first frame. The call's id is
the correlation id, which only the upgrade's headers contain. The stream ends when the socket
closes.

Mixed audio is one track. In unmixed audio, each frame names its participant. Participants are not
announced, but a stream's tracks are fixed at its start. So the URL names the two participants to
transcribe, each by a prefix of the raw id or the whole id:
`.../media/acs/<route>/<token>?customer=4:&agent=8:` (`4:` are telephones, `8:` are users). The
first participant that matches keeps the track until the stream ends; other participants are
ignored. A `+` is written `%2B`.

Each upgrade carries a new JWT from Microsoft for the resource, valid for five minutes. If the
gateway cannot reach Microsoft's keys, `transportUrl` contains a stream token instead, which the
admin API mints for the call. Sources: `learn.microsoft.com/azure/communication-services`,
how-tos/call-automation/audio-streaming-quickstart and secure-webhook-endpoint,
concepts/call-automation/audio-streaming-concept.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from pydantic import Field

from common.settings import Url, config
from gateway.carriers.adapter import Adapter
from gateway.carriers.auth.signatures.openid import SIGNATURE_HEADER, OpenIdKeys
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import OpenIdCarrier, Request, SingleUse, Upgrade
from gateway.carriers.events import (
    AudioFrame,
    AudioHeld,
    AudioLost,
    AudioReceived,
    CallStarted,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.protocols.dialect import (
    MAX_START_BYTES,
    NOT_UNDERSTOOD,
    USUAL_FRAME_MS,
    decode_base64,
    find,
    find_text,
    number,
    read,
    read_id,
)
from gateway.carriers.protocols.early_media import EarlyMedia
from gateway.carriers.protocols.pcm_socket import MIX, formats
from gateway.carriers.protocols.tolerant import fold, scrap
from gateway.carriers.protocols.wall_times import Epoch, WallTimes
from gateway.carriers.settings import L16Settings, SecretSettings
from gateway.errors import CarrierError

_OPENID_URL: Final = (
    "https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration"
)

CALL_HEADER: Final = "x-ms-call-correlation-id"
CONNECTION_HEADER: Final = "x-ms-call-connection-id"

_TRACK_OF: Final = {"customer": "inbound", "agent": "outbound"}
_ROLES: Final = {"inbound": "customer", "outbound": "agent", MIX: MIX}
_ASK_FORMAT: Final = "set audioFormat to PCM 16 or 24 kHz mono"
_ASK_CHANNEL: Final = (
    "set audioChannelType to mixed, or to unmixed and name the participants in transportUrl: "
    "?customer=4:&agent=8:"
)


class Acs(OpenIdCarrier, AuthenticatedCarrier):
    """Azure Communication Services; disabled unless its resource or its secret is configured."""

    name = "acs"

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_ACS_", env_file=".env")

        resource_id: str | None = Field(
            None,
            min_length=1,
            description="The immutable id of the resource. If it is set, Microsoft's token "
            "authenticates upgrades, and the secret is not used.",
        )
        openid_url: Url = Field(
            _OPENID_URL, description="OpenID configuration with the URL of the token's keys."
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.authenticator = StreamAuthenticator(self.name, settings)
        resource_id = settings.resource_id
        self.openid = OpenIdKeys(settings.openid_url, resource_id) if resource_id else None

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""
        return None if self.openid else self.authenticator.missing_setting

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by Microsoft's token, or by the one in the URL; see `Carrier`."""
        if self.openid is None:
            return self.authenticator.upgrade(
                request, lambda: AcsAdapter(request.headers, request.query)
            )
        shown = request.headers.get(SIGNATURE_HEADER)
        digest, until_s = self.openid.verify(shown, request.now_s)
        once = SingleUse(f"{self.name} {digest}", until_s)
        adapter = AcsAdapter(request.headers, request.query)
        return Upgrade(self._settings.inform(adapter), once=once)


# The hot path, for keys in the documented case: 3 us per message; any other case takes 12 or more.
class _Audio(msgspec.Struct, gc=False):
    data: bytes
    participant: str | None = msgspec.field(name="participantRawID")
    timestamp: Any


class _AudioData(msgspec.Struct, tag_field="kind", tag="AudioData", gc=False):
    audio: _Audio = msgspec.field(name="audioData")


_DECODE: Final = msgspec.json.Decoder(_AudioData).decode


class AcsAdapter(Adapter):
    """The adapter of one stream.

    Args:
        headers: the upgrade's headers, which contain the call's ids.
        query: the URL's query, which may contain prefixes of participants' raw ids.
    """

    def __init__(self, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
        self._call_id = headers.get(CALL_HEADER) or headers.get(CONNECTION_HEADER)
        connection_id = headers.get(CONNECTION_HEADER)
        self._params = {"callConnectionId": connection_id} if connection_id else {}
        named = {track: query[name] for name, track in _TRACK_OF.items() if query.get(name)}
        self._unassigned = named or {MIX: ""}  # id prefix by track, while the track is unassigned
        self._names = tuple(self._unassigned)
        self._track_of: dict[str, str] = {}
        self._started: CallStarted | None = None
        self._times: dict[str, WallTimes] = {}  # by track
        self._early = EarlyMedia()
        self._bytes_per_ms = 0
        self._last_bytes = 0  # audio in the last frame

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one message; see `Adapter`."""
        try:
            audio = _DECODE(message).audio
        except NOT_UNDERSTOOD:
            return self._receive_other(message)
        if self._started is None:
            return self._early.hold(message)
        return self._audio(audio.participant or "", audio.data, audio.timestamp)

    def flush_held(self, track: str) -> Sequence[AudioFrame]:
        """Return a track's held frames; see `Adapter`."""
        return self._times[track].flush()

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Raise CarrierError: the protocol has only text messages."""
        raise CarrierError("binary-message")

    def _receive_other(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse a message that is not audio, or not as documented."""
        decoded: Mapping[str, object] = {}
        try:
            decoded = read(message)
            kind = fold(str(find(decoded, ("kind",))))
        except CarrierError:
            kind = fold(scrap(message, "kind") or "")
            if kind != "audiodata":
                raise
        match kind:
            case "audiometadata":
                return self._start(decoded, len(message))
            case "audiodata":
                return self._undocumented_media(message, decoded)
            case "dtmfdata":
                return (DtmfReceived(None),)  # from any participant
            case _:
                return (MessageIgnored("unknown"),)

    def _start(self, message: Mapping[str, object], size: int) -> Sequence[CarrierEvent]:
        if size > MAX_START_BYTES:
            raise CarrierError("message-too-big", "AudioMetadata")
        stream_id = read_id(message, ("audioMetadata.subscriptionId",))
        if self._started:
            if stream_id == self._started.stream_id:
                return (MessageIgnored("repeated-start"),)
            raise CarrierError("second-start")
        if number(find(message, ("audioMetadata.channels",))) not in (None, 1):
            raise CarrierError("unsupported-encoding", _ASK_FORMAT)
        encoding = find_text(message, ("audioMetadata.encoding",)) or "pcm"
        rate = find(message, ("audioMetadata.sampleRate",))
        start = CallStarted(
            call_id=self._call_id or stream_id,
            stream_id=stream_id,
            tracks=formats(self._names, encoding, rate, _ASK_FORMAT),
            params=self._params,
            roles={track: _ROLES[track] for track in self._names},
        )
        self._started = self.correct(start)
        epoch = Epoch()
        self._bytes_per_ms = self._started.tracks[0].bytes_per_ms
        self._times = {track: WallTimes(self._bytes_per_ms, epoch) for track in self._names}
        early = [event for each in self._early.drain() for event in self.receive_text(each)]
        return (self._started, *early)

    def _undocumented_media(
        self, message: bytes, decoded: Mapping[str, object]
    ) -> Sequence[CarrierEvent]:
        """Return the events of audio that is not as documented; undecodable audio is lost.

        Args:
            message: the raw message.
            decoded: the parsed message; empty if it could not be parsed.
        """
        if self._started is None:
            return self._early.hold(message)
        text = find(decoded, ("audioData.data",))
        participant = find(decoded, ("audioData.participantRawID",))
        timestamp = find(decoded, ("audioData.timestamp",))
        payload = decode_base64(text) if isinstance(text, str) else None
        if payload is not None and isinstance(participant, str | None):
            return self._audio(participant or "", payload, timestamp)
        if not decoded:
            participant = scrap(message, "participantRawID")
        track = self._track_of.get(str(participant or ""), self._names[0])
        size = self._last_bytes or USUAL_FRAME_MS * self._bytes_per_ms
        lost = AudioLost(track, bytes(size), _unix_ms(timestamp), None)
        is_text = isinstance(text, str) and isinstance(participant, str | None)
        why = MessageIgnored("undecodable-payload" if is_text else "malformed-media")
        return (*self._times[track].receive(lost), why)

    def _audio(self, participant: str, payload: bytes, timestamp: object) -> Sequence[CarrierEvent]:
        track = self._track_of.get(participant) or self._assign_track(participant)
        if track is None:
            return (MessageIgnored("other-participant"),)
        self._last_bytes = len(payload)
        audio = AudioReceived(track, payload, _unix_ms(timestamp), None)
        return self._times[track].receive(audio) or (AudioHeld(track),)

    def _assign_track(self, participant: str) -> str | None:
        """Assign the matching track to a new participant; return None if there is none.

        Raises:
            CarrierError: unknown-track: the audio is unmixed although the URL names no
                participants, or mixed although it does.
        """
        for track, beginning in self._unassigned.items():
            if participant.startswith(beginning):
                del self._unassigned[track]
                self._track_of[participant] = track
                return track
        if MIX in self._names or not participant:
            raise CarrierError("unknown-track", _ASK_CHANNEL)
        return None


def _unix_ms(timestamp: object) -> int | None:
    """Convert an ISO 8601 timestamp to Unix ms; None if it is invalid."""
    try:
        moment = datetime.fromisoformat(timestamp)  # type: ignore[arg-type]  # or raises
    except (TypeError, ValueError):
        return None
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
