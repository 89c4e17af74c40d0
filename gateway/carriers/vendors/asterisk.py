"""Asterisk's WebSocket channel driver, chan_websocket. Pure.

    MEDIA_START . (audio | DTMF_END | MEDIA_XOFF ...)* . close

Texts are plain, `MEDIA_START connection_id:stt channel:WebSocket/stt/0x55 channel_id:17.1
format:ulaw ...`, or JSON with the same names (`f(json)` in the dial string). Binary messages are
audio in the channel's `format`, of any length, without number or timestamp. slin is in the byte
order of Asterisk's host, which is little-endian.

A socket carries one direction of a call, so a call has two sockets. The dial string adds to the
URL's query what joins them: `WebSocket/stt/c(ulaw)v(call=${CHANNEL(LINKEDID)},track=outbound)`.

Nothing is ever sent to Asterisk. It answers the channel when the socket is open (unless dialed
with `n`, which leaves that to ARI), and plays silence as long as it receives no audio.

Nothing is signed. `websocket_client.conf` has a URL and Basic credentials for all calls, with the
secret as the password. Alternatively, each dial string contains a stream token,
`v(...,tok=<token>)`; each socket needs a different one. Subprotocol `media` (`protocols=media`).

Sources: github.com/asterisk/asterisk, channels/chan_websocket.c and main/codec_builtin.c;
docs.asterisk.org/Configuration/Channel-Drivers/WebSocket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

from pydantic import Field

from common.settings import config
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.events import CallStarted, CarrierEvent, DtmfReceived, MessageIgnored
from gateway.carriers.protocols.dialect import find, read, read_id
from gateway.carriers.protocols.pcm_socket import PcmSocketAdapter, formats, texts
from gateway.carriers.settings import L16Settings, SecretSettings
from gateway.errors import CarrierError

_TRACKS: Final = ("inbound", "outbound")
_ROLES: Final = ("customer", "agent")
_NOTES: Final = frozenset(
    {
        "MEDIA_XON",
        "MEDIA_XOFF",
        "MEDIA_BUFFERING_COMPLETED",
        "MEDIA_MARK_PROCESSED",
        "QUEUE_DRAINED",
        "STATUS",
        "ERROR",
    }
)
# The rate is part of the name; plain "slin" is 8 kHz. Others, up to slin192, are not supported.
_SLIN_HZ: Final = {"slin16": 16000, "slin24": 24000}
_ASK: Final = "dial with c(ulaw); c(alaw), c(slin), c(slin16) and c(slin24) are supported, too"


class Asterisk(AuthenticatedCarrier):
    """Asterisk; disabled unless its secret is configured."""

    name = "asterisk"
    subprotocols = ("media",)
    answers_pings = False

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_ASTERISK_", env_file=".env")

        pings: bool = Field(
            False,
            description="Ping its sockets, so that lost connections are detected within "
            "GATEWAY_HEARTBEAT_S and a call on hold is not ended. Requires a chan_websocket that "
            "supports pings (merged in January 2026); an older one hangs up. If it is false, "
            "GATEWAY_IDLE_TIMEOUT_S applies.",
        )

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self.answers_pings = settings.pings

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the secret or the token, then parse the query; see `Carrier`."""
        return self.authenticator.upgrade(
            request, lambda: AsteriskAdapter(StreamQuery.parse(request.query))
        )


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """A stream's description in the query of the media URL; all fields are optional."""

    call: str | None = None  # the same for both sockets of a call
    track: str = _TRACKS[0]
    role: str | None = None
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Parse `call`, `track` and `role`; all other names are parameters.

        Raises:
            CarrierError: unknown-track: the track or the role is unknown.
        """
        track, role = query.get("track") or _TRACKS[0], query.get("role") or None
        if track not in _TRACKS:
            raise CarrierError("unknown-track", f"track must be {' or '.join(_TRACKS)}")
        if role not in (None, *_ROLES):
            raise CarrierError("unknown-track", f"role must be {' or '.join(_ROLES)}")
        names = ("call", "track", "role")
        params = {name: value for name, value in query.items() if name not in names}
        return cls(query.get("call") or None, track, role, params)


class AsteriskAdapter(PcmSocketAdapter):
    """The adapter of one direction of a call.

    Audio may arrive before MEDIA_START, because Asterisk writes both from different threads.
    Source: asterisk/asterisk, issue 1712.

    Args:
        query: the query of its URL.
    """

    def __init__(self, query: StreamQuery) -> None:
        super().__init__(partial(_understand, query))


def _understand(query: StreamQuery, message: bytes) -> CarrierEvent:
    fields = read(message) if message.lstrip().startswith(b"{") else _read_plain(message)
    match str(find(fields, ("event",))).upper():
        case "MEDIA_START":
            return _read_start(fields, query)
        case "DTMF_END":
            return DtmfReceived(query.track)
        case name if name in _NOTES:
            return MessageIgnored(name)
        case _:
            return MessageIgnored("unknown")


def _read_plain(message: bytes) -> Mapping[str, object]:
    """Parse `EVENT name:value name:value`."""
    event, *words = message.decode(errors="replace").split(" ")
    pairs = (word.partition(":") for word in words)
    return {name: value for name, _, value in pairs} | {"event": event}


def _read_start(fields: Mapping[str, object], query: StreamQuery) -> CallStarted:
    # The first releases send no channel_id. A channel's name is unique while the channel exists.
    channel = read_id(fields, ("channel_id", "channel"))
    connection = find(fields, ("connection_id",))  # a name in websocket_client.conf
    name = read_id(fields, ("format",)).lower()
    encoding, rate_hz = ("slin", _SLIN_HZ[name]) if name in _SLIN_HZ else (name, 8000)
    variables = find(fields, ("channel_variables",))
    params = texts(variables) if isinstance(variables, dict) else {}
    return CallStarted(
        call_id=query.call or channel,
        stream_id=f"{connection}-{channel}" if isinstance(connection, str) else channel,
        tracks=formats([query.track], encoding, rate_hz, _ASK),
        params=params | dict(query.params),
        roles={query.track: query.role} if query.role else {},
    )
