"""FreeSWITCH: mod_audio_stream, and mod_audio_fork, which it was modelled on. Pure.

    uuid_audio_stream <uuid> start wss://.../media/freeswitch?mix=stereo&rate=16k stereo 16k <text>

Nothing announces the format, so the URL repeats it. The text, if the command has one, is sent
first, or after some audio; as those that `send_text` and `stop` send later, it may be anything. A
first one that is a JSON object is taken for the call's parameters, its `call_id` for the call's id:
up to two seconds of audio wait for it. Audio is in the host's order of bytes, little-endian
wherever FreeSWITCH runs. The end is the socket's.

Nothing is signed. mod_audio_stream sends the headers of STREAM_EXTRA_HEADERS, `Authorization` say,
and mod_audio_fork Basic credentials, of MOD_AUDIO_BASIC_AUTH_USERNAME and _PASSWORD. Or the URL of
each command has a stream token. Sources: the READMEs of amigniter/mod_audio_stream and
drachtio/drachtio-freeswitch-modules mod_audio_fork.
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

SUBPROTOCOL: Final = "audio.drachtio.org"  # of mod_audio_fork, by default

_DEFAULT_RATE: Final = "8k"  # FreeSWITCH's own
_NAMES: Final = ("mix", "rate", "call_id")
_ASK: Final = (
    "repeat the start command's mix (stereo, mono or mixed) and rate (8k, 16k or 24k) in its URL: "
    "?mix=stereo&rate=16k"
)


class FreeSwitch(AuthenticatedCarrier):
    """FreeSWITCH, closed unless its secret is configured.

    Args:
        settings: how it is configured.
        new_id: gives streams their ids.
    """

    name = "freeswitch"
    subprotocols = (SUBPROTOCOL,)

    class Settings(L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_FREESWITCH_", env_file=".env")

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._new_id = new_id

    def upgrade(self, request: Request) -> Upgrade:
        """Check the secret or the token, then what the query says; see `Carrier`."""
        return self.authenticator.upgrade(
            request, lambda: new_adapter(self._new_id(), StreamQuery.parse(request.query))
        )


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """What the query of a stream's URL says of it, in the start command's words.

    Attributes:
        mix: mono, mixed or stereo.
        rate: samples per second, or 8k, 16k and so on.
        call_id: the call's, if the first text does not say.
        params: whatever else it says; the first text adds to it.
    """

    mix: str
    rate: str = _DEFAULT_RATE
    call_id: str | None = None
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Read `mix`, `rate`, `call_id`, and parameters of any other names."""
        params = {name: value for name, value in query.items() if name not in _NAMES}
        rate = query.get("rate") or _DEFAULT_RATE
        return cls(query.get("mix", ""), rate, query.get("call_id") or None, params)


def new_adapter(connection_id: str, query: StreamQuery) -> PcmSocketAdapter:
    """Make the adapter of one socket.

    Args:
        connection_id: the stream's id, and its call's if nothing names one.
        query: what the stream's URL says.

    Raises:
        CarrierError: unsupported-encoding; the detail says what to ask for.
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
