"""FreeSWITCH: mod_audio_stream, and mod_audio_fork, on which it is based. Pure.

    uuid_audio_stream <uuid> start wss://.../media/freeswitch?mix=stereo&rate=16k stereo 16k <text>

The format is not announced, so the URL has to repeat it. If the command has a text, it is sent
first, or after some audio. It may have any content, and so may the texts that `send_text` and
`stop` send later. If the first text is a JSON object, its members are the call's parameters, and
its `call_id` is the call's id. Up to 2 s of audio are held for it. Audio is in the byte order of
the host, little-endian on all platforms of FreeSWITCH. The stream ends when the socket closes.

Nothing is signed. mod_audio_stream sends the headers in STREAM_EXTRA_HEADERS, for example
`Authorization`. mod_audio_fork sends Basic credentials from MOD_AUDIO_BASIC_AUTH_USERNAME and
_PASSWORD. Alternatively, the URL of each command contains a stream token. Sources: the READMEs of
amigniter/mod_audio_stream and drachtio/drachtio-freeswitch-modules mod_audio_fork.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Self

from common.settings import config
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.events import CallStarted, CarrierEvent, MessageIgnored
from gateway.carriers.protocols.dialect import find_text, read
from gateway.carriers.protocols.pcm_socket import (
    MIX_TYPES,
    PcmSocketAdapter,
    formats,
    mix_role,
    new_connection_id,
    texts,
)
from gateway.carriers.protocols.tolerant import fold
from gateway.carriers.settings import L16Settings, SecretSettings
from gateway.errors import CarrierError

SUBPROTOCOL: Final = "audio.drachtio.org"  # mod_audio_fork's default

_DEFAULT_RATE: Final = "8k"  # FreeSWITCH's default
_NAMES: Final = ("mix", "rate", "call_id")
_ASK: Final = (
    "repeat the start command's mix (stereo, mono or mixed) and rate (8k, 16k or 24k) in its URL: "
    "?mix=stereo&rate=16k"
)


class FreeSwitch(AuthenticatedCarrier):
    """FreeSWITCH; disabled unless its secret is configured.

    Args:
        settings: the carrier's settings.
        new_id: returns a new stream id.
    """

    name = "freeswitch"
    subprotocols = (SUBPROTOCOL,)

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_FREESWITCH_", env_file=".env")

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._new_id = new_id

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the secret or the token, then parse the query; see `Carrier`."""
        return self.authenticator.upgrade(
            request, lambda: new_adapter(self._new_id(), StreamQuery.parse(request.query))
        )


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """The description of a stream in its URL's query, which repeats the start command's arguments.

    Attributes:
        mix: mono, mixed or stereo.
        rate: samples per second, or 8k, 16k and so on.
        call_id: the call's id, unless the first text has one.
        params: all other values; the first text may add more.
    """

    mix: str
    rate: str = _DEFAULT_RATE
    call_id: str | None = None
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Parse `mix`, `rate` and `call_id`; all other names are parameters."""
        params = {name: value for name, value in query.items() if name not in _NAMES}
        rate = query.get("rate") or _DEFAULT_RATE
        return cls(query.get("mix", ""), rate, query.get("call_id") or None, params)


def new_adapter(connection_id: str, query: StreamQuery) -> PcmSocketAdapter:
    """Create the adapter of one socket.

    Args:
        connection_id: the stream's id, and the call's id if there is no other.
        query: the query of the stream's URL.

    Raises:
        CarrierError: unsupported-encoding; the detail says how to write the URL.
    """
    names = MIX_TYPES.get(query.mix, ())
    start = CallStarted(
        call_id=query.call_id or connection_id,
        stream_id=connection_id,
        tracks=formats(names, "l16", query.rate.replace("k", "000"), _ASK),
        params=query.params,
        roles=mix_role(names),
    )
    return PcmSocketAdapter(partial(_understand, start), unannounced=start)


def _understand(start: CallStarted, message: bytes) -> CarrierEvent:
    try:
        decoded = read(message)
    except CarrierError:
        return MessageIgnored("text")
    metadata = texts(decoded)
    call_id = find_text(decoded, ("call_id",)) or start.call_id
    metadata = {name: value for name, value in metadata.items() if fold(name) != "callid"}
    return replace(start, call_id=call_id, params={**start.params, **metadata})
