"""NICE CXone: Agent Assist Hub's audio streams. Experimental. Pure.

    parameters . BEGIN AUDIO STREAM (sent by the gateway) . audio*

Each perspective has its own socket, and so its own stream: RX is the agent, TX is what is played to
the agent, the customer. Audio is mu-law in binary messages. A hold closes the socket. After it, as
after a lost connection, a new socket is opened: a new stream of the same call, which is the
contact.

The vendor documents the messages only for its partners. This implementation follows servers of
third parties, so a setting has to enable it. A perspective may be a number, whose meaning is
undocumented: a route has to assign the roles of `perspective-0` and `perspective-1`. The hub's
connection can have custom headers: `Authorization: Bearer <secret>`. Sources: help.nicecxone.com,
Agent Assist Hub; third parties for the messages.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
from pydantic import Field

from common.settings import config
from gateway.carriers.adapter import Adapter
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.events import CallStarted, CarrierEvent, MessageIgnored, Reply
from gateway.carriers.protocols.dialect import find, read, read_id
from gateway.carriers.protocols.pcm_socket import (
    PcmSocketAdapter,
    formats,
    new_connection_id,
    texts,
)
from gateway.carriers.settings import SecretSettings, variable
from gateway.errors import CarrierError

_ASK: Final = "configure mono, with one socket for each perspective"
_ROLES: Final = {"rx": "agent", "tx": "customer", "mix": "mix"}
_TRACK_OF: Final = {
    "rx": "rx",
    "tx": "tx",
    "mix": "mix",
    "0": "perspective-0",
    "1": "perspective-1",
}
_BEGIN: Final = Reply(
    msgspec.json.encode(
        {
            "Message": "BEGIN AUDIO STREAM",
            "MessageType": "COMMAND",
            "ProtocolVersion": 1,
            "Format": "MONO",
            "AgreedCapabilities": [],
            "Parameters": {},
        }
    ).decode()
)


class Cxone(AuthenticatedCarrier):
    """CXone; disabled unless its secret is configured and `experimental` is set.

    Args:
        settings: the carrier's settings.
        new_id: returns a new stream id.
    """

    name = "cxone"

    class Settings(SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_CXONE_", env_file=".env")

        experimental: bool = Field(
            False,
            description="Enable the carrier, although the vendor has not documented its messages. "
            "If it is false, the carrier is disabled.",
        )

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._settings = settings
        self._new_id = new_id

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""
        if self.authenticator.missing_setting or self._settings.experimental:
            return self.authenticator.missing_setting
        return variable(self._settings, "experimental")

    @property
    def warning(self) -> str | None:
        """Slug of the warning to log at every startup."""
        return "cxone-is-experimental"

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the secret in the header; see `Carrier`."""
        if self.missing_setting:
            raise CarrierError("token-missing")
        return self.authenticator.upgrade(request, lambda: CxoneAdapter(self._new_id()))


class CxoneAdapter(Adapter):
    """The adapter of one stream, which has one perspective.

    Args:
        stream_id: the stream's id, because the hub sends none.
    """

    def __init__(self, stream_id: str) -> None:
        self._socket = PcmSocketAdapter(partial(_understand, stream_id))
        # Looked up per call, because it is set later.
        self._socket.correct = lambda start: self.correct(start)

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one text message; request the audio when the call starts; see `Adapter`."""
        event, *early = self._socket.receive_text(message)
        return (event, _BEGIN, *early) if isinstance(event, CallStarted) else (event,)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse audio of any length; see `Adapter`."""
        return self._socket.receive_binary(message)


def _understand(stream_id: str, message: bytes) -> CarrierEvent:
    decoded = read(message)
    info = find(decoded, ("executionInfo",))
    if not isinstance(info, dict):
        return MessageIgnored("unknown")
    layout = find(decoded, ("format",))
    if isinstance(layout, str) and layout.upper() != "MONO":
        raise CarrierError("unsupported-encoding", _ASK)
    track = _read_track(decoded)
    params = texts(info)
    params.pop("contactId", None)
    return CallStarted(
        call_id=read_id(decoded, ("executionInfo.contactId",)),
        stream_id=stream_id,
        tracks=formats([track], "pcmu", 8000, _ASK),
        params=params,
        roles={track: _ROLES[track]} if track in _ROLES else {},
    )


def _read_track(message: Mapping[str, object]) -> str:
    perspective = str(find(message, ("streamPerspective",))).partition("_")[0].lower()
    track = _TRACK_OF.get(perspective)
    if track is None:
        raise CarrierError("unknown-track", "streamPerspective")
    return track
