"""A page of our own, live from its microphone. Pure.

    {"type": "start", ...} . audio* . {"type": "stop"} or close

The start is a JSON text:

    call_id     1 to 128 characters, chosen by the page, new for each call
    stream_id   the same; streams with the same call_id belong to one call
    rate        of the audio, samples per second: 16000; 8000 and 24000 do too
    track       "inbound" (if missing) or "outbound"
    params      an object of texts (if missing: none)

Audio is binary: PCM16, little-endian, mono, messages of any length. An AudioWorklet gives blocks of
128 float samples at the AudioContext's rate, so the page makes its context with `sampleRate: 16000`
and joins some blocks: 100 ms are 3200 bytes. It is placed by counting: while the page is muted it
sends silence. Nothing is ever sent back. As the page is ours, a text not as above is an error.

A page can set no headers and keep no secret: whoever serves it has a token minted for the call, by
the admin API, and gives it the URL.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.dialect import NOT_UNDERSTOOD
from gateway.carriers.events import CallStarted, CallStopped, CarrierEvent
from gateway.carriers.gate import Gate, GatedCarrier
from gateway.carriers.parts import SecretSettings
from gateway.carriers.pcm_socket import PcmSocketAdapter, formats
from gateway.errors import CarrierError
from process.settings import config

_ASK: Final = "make the AudioContext with sampleRate 16000; 8000 and 24000 do too"

type _Id = Annotated[str, Meta(min_length=1, max_length=128)]


class _Start(msgspec.Struct, tag_field="type", tag="start", forbid_unknown_fields=True):
    call_id: _Id
    stream_id: _Id
    rate: int
    track: Literal["inbound", "outbound"] = "inbound"
    params: dict[str, str] = {}


class _Stop(msgspec.Struct, tag_field="type", tag="stop", forbid_unknown_fields=True):
    pass


_DECODER: Final[msgspec.json.Decoder[_Start | _Stop]] = msgspec.json.Decoder(_Start | _Stop)


class Browser(GatedCarrier):
    """A page of our own, refused unless a secret is configured."""

    name = "browser"

    class Settings(SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_BROWSER_", env_file=".env")

    def __init__(self, settings: Settings) -> None:
        self.gate = Gate(self.name, settings)

    def upgrade(self, request: Request) -> Upgrade:
        """Check the token in the URL; see `Carrier`."""
        return self.gate.upgrade(request, new_adapter)


def new_adapter() -> PcmSocketAdapter:
    """Make the adapter of one stream."""
    return PcmSocketAdapter(_understand)


def _understand(message: bytes) -> CarrierEvent:
    try:
        text = _DECODER.decode(message)
    except NOT_UNDERSTOOD:
        raise CarrierError("malformed-message") from None
    match text:
        case _Start():
            tracks = formats([text.track], "l16", text.rate, _ASK)
            return CallStarted(text.call_id, text.stream_id, tracks, text.params)
        case _Stop():
            return CallStopped()
