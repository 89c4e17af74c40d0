"""Exotel's Stream and Voicebot applets. Pure.

Audio is linear, little-endian, about 100 ms a message, at 8, 16 or 24 kHz, unless the start says
that it is mu-law: the vendor's pages disagree on the default. The rate is a string; `bit_rate` is
16 on one page and `128kbps` on another, and tells nothing more. The applet's URL asks for a rate,
`?sample-rate=16000`: it is the rate of linear audio whose start tells none. The start lists no
tracks and media name none: there is the caller's.

Nothing is signed: the applet's URL has Basic credentials, with the secret as its password:
`wss://callscribe:<secret>@.../media/exotel`. Source:
developer.exotel.com/docs/agentstream/websocket-protocol.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from common.settings import config
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.protocols.dialect import KINDS, Dialect, Kind, find, number
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import L16Settings, SecretSettings

DIALECT: Final = Dialect(
    carrier="exotel",
    kinds={**KINDS, "clear": Kind.NOTE},
    call_id=("start.call_sid",),
    stream_id=("start.stream_sid", "stream_sid"),
    params=("start.custom_parameters",),
    called=("start.to",),
    encoding=("start.media_format.encoding",),
    usual_encoding="slin",
    rate=("start.media_format.sample_rate",),
    channels=("start.media_format.channels",),
)


class Exotel(AuthenticatedCarrier):
    """Exotel, closed unless its secret is configured."""

    name = "exotel"

    class Settings(L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_EXOTEL_", env_file=".env")

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)

    def upgrade(self, request: Request) -> Upgrade:
        """Check the Basic credentials; see `Carrier`."""
        rate_hz = number(find(request.query, ("sample-rate",)))
        dialect = replace(DIALECT, usual_rate_hz=rate_hz)
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, dialect))
