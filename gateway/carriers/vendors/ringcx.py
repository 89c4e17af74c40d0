"""Call streaming of RingCentral RingCX (formerly Engage Voice). Pure.

Tracks are perspectives: `Participant` is the agent, `Conference` is everyone else. Each has its own
`Stop`. Media have no timestamps. `sequenceId` arrives "generally in sequence", so frames are
reordered within a short window. If `sequenceId` counts both perspectives together, audio is delayed
by no more than that window. The stream's id is a number.

Nothing is signed, and it is undocumented how the profile's own `secret` is sent. So the streaming
URL contains the gateway's secret: `wss://.../media/ringcx/<route>/<secret>` or
`.../media/ringcx?tok=<secret>`. RingCX adds the call's metadata to the query. It retries after a
503, and never after a 4xx. Source:
developers.ringcentral.com/engage/voice/guide/workforce/call-streaming.
"""

from functools import partial
from typing import Any, Final, Self

from msgspec import field

from common.settings import config
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.protocols.dialect import Dialect, Frame, Kind, Times
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import L16Settings, SecretSettings


class Media[P](Frame[P], tag_field="event", tag="Media", kw_only=True):
    """A media message whose audio is not in a nested object."""

    payload: P = field(name="media")
    track: str | None = field(default="", name="perspective")
    chunk: Any = field(default=None, name="sequenceId")

    @property
    def frame(self) -> Self:
        """The message itself, which has the audio."""
        return self


DIALECT: Final = Dialect(
    carrier="ringcx",
    kinds={
        "Connected": Kind.NOTE,
        "Start": Kind.START,
        "Media": Kind.MEDIA,
        "Stop": Kind.STOP,
    },
    call_id=("metadata.callId",),
    stream_id=("metadata.sessionId",),
    params=(),
    circumstances=("metadata.agentId", "metadata.productType", "metadata.productId"),
    called=("metadata.dnis",),
    tracks=(),
    track_names={"Participant": "participant", "Conference": "conference"},
    unlisted_tracks=2,
    roles={"participant": "agent", "conference": "customer"},
    encoding=("metadata.contentType",),
    rate=("metadata.sampleRateHertz",),
    channels=(),
    stop_track=("perspective",),
    media=Media,
    payload=("media",),
    track=("perspective",),
    frame_number=("sequenceId",),
    reorder_ms=60,
    times=Times.NONE,
)


class RingCx(AuthenticatedCarrier):
    """RingCX; disabled unless its secret is configured."""

    name = "ringcx"

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_RINGCX_", env_file=".env")

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings, secret_in_url=True)

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the secret in the URL; see `Carrier`."""
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))
