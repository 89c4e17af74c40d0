"""A web page that sends its microphone's audio, in a protocol of Callscribe. Pure.

    {"type": "start", ...} . audio* . {"type": "stop"} or close

The start is a JSON text:

    call_id     1 to 128 characters, chosen by the page, new for each call
    stream_id   likewise, new for each stream; streams with the same call_id belong to one call
    rate        samples per second: 16000 is recommended; 8000 and 24000 are supported, too
    track       "inbound" (the default) or "outbound"
    params      an object of strings (default: empty)

Audio messages are binary: PCM16, little-endian, mono, of any length. An AudioWorklet produces
blocks of 128 float samples at the AudioContext's rate, so the page creates its context with
`sampleRate: 16000` and joins some blocks: 100 ms are 3200 bytes. Audio is counted, so the page has
to send silence while it is muted. Nothing is ever sent to the page. A text of another type is an
error.

A page can set no headers and keep no secret. Its server mints a token for the call with the admin
API, and passes the URL to the page.
"""

from collections.abc import Mapping
from typing import Final

from common.settings import config
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.events import CallStarted, CallStopped, CarrierEvent
from gateway.carriers.protocols.dialect import find, read, read_id
from gateway.carriers.protocols.pcm_socket import PcmSocketAdapter, formats, texts
from gateway.carriers.settings import SecretSettings
from gateway.errors import CarrierError

_ASK: Final = "create the AudioContext with sampleRate 16000; 8000 and 24000 are supported, too"
_TRACKS: Final = ("inbound", "outbound")


class Browser(AuthenticatedCarrier):
    """A web page; disabled unless a secret is configured."""

    name = "browser"

    class Settings(SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_BROWSER_", env_file=".env")

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the token in the URL; see `Carrier`."""
        return self.authenticator.upgrade(request, new_adapter)


def new_adapter() -> PcmSocketAdapter:
    """Create the adapter of one stream."""
    return PcmSocketAdapter(_understand)


def _understand(message: bytes) -> CarrierEvent:
    fields = read(message)
    match str(find(fields, ("type",))).lower():
        case "start":
            return _read_start(fields)
        case "stop":
            return CallStopped()
        case _:
            raise CarrierError("malformed-message", "type must be start or stop")


def _read_start(fields: Mapping[str, object]) -> CallStarted:
    track = find(fields, ("track",)) or _TRACKS[0]
    if track not in _TRACKS:
        raise CarrierError("malformed-message", f"track must be {' or '.join(_TRACKS)}")
    rate = find(fields, ("rate",))
    if rate is None:
        raise CarrierError("malformed-message", "rate is missing")
    params = find(fields, ("params",))
    return CallStarted(
        call_id=read_id(fields, ("call_id",)),
        stream_id=read_id(fields, ("stream_id",)),
        tracks=formats([str(track)], "l16", rate, _ASK),
        params=texts(params) if isinstance(params, dict) else {},
    )
