"""RingCentral RingCX's (Engage Voice's) call streaming. Pure.

Tracks are perspectives: `Participant` is the agent, `Conference` everybody else. Each has a `Stop`
of its own. Media have no time; `sequenceId` comes "generally in sequence", hence a short window:
should it count both perspectives, audio is late by no more than that. The stream's id is a number.

Nothing is signed, and how the profile's own `secret` is shown is not documented: so the streaming
URL has ours, `wss://.../media/ringcx/<route>/<secret>` or `.../media/ringcx?tok=<secret>`. RingCX
adds the call's metadata to the query. It tries again after a 503, and never after a 4xx. Source:
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
    """A media message, which is its frame."""

    payload: P = field(name="media")
    track: str | None = field(default="", name="perspective")
    chunk: Any = field(default=None, name="sequenceId")

    @property
    def frame(self) -> Self:
        """Its audio."""
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
    chunk=("sequenceId",),
    reorder_ms=60,
    times=Times.NONE,
)


class RingCx(AuthenticatedCarrier):
    """RingCX, closed unless its secret is configured."""

    name = "ringcx"

    class Settings(L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_RINGCX_", env_file=".env")

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings, secret_in_url=True)

    def upgrade(self, request: Request) -> Upgrade:
        """Check the secret in the URL; see `Carrier`."""
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))
