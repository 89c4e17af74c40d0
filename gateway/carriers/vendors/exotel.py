"""Exotel's Stream and Voicebot applets. Pure.

Audio is linear, little-endian, about 100 ms per message, at 8, 16 or 24 kHz, unless the start
announces mu-law: the vendor's pages disagree on the default. The rate is a string. `bit_rate` is 16
on one page and `128kbps` on another; it is not used. The applet's URL requests a rate,
`?sample-rate=16000`, which is also the rate of linear audio if the start names none. Neither the
start nor media name tracks: there is only the caller's.

Nothing is signed. The applet's URL has Basic credentials, with the secret as the password:
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
    """Exotel; disabled unless its secret is configured."""

    name = "exotel"

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_EXOTEL_", env_file=".env")

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the Basic credentials; see `Carrier`."""
        rate_hz = number(find(request.query, ("sample-rate",)))
        dialect = replace(DIALECT, usual_rate_hz=rate_hz)
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, dialect))
