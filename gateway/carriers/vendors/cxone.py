"""NICE CXone: Agent Assist Hub's audio streams. Experimental. Pure.

    parameters . BEGIN AUDIO STREAM (ours) . audio*

Each perspective has a socket, hence a stream, of its own: RX is the agent, TX what the agent hears,
the customer. Audio is mu-law in binary messages. A hold closes the socket; afterwards another one
is opened, as after a broken connection: another stream of the same call, which is the contact.

The vendor tells its partners alone what the messages look like: these are as other people's servers
have them, hence the setting. A perspective may be a number; as nobody says which is which, a route
has to say whose it is (`perspective-0`, `perspective-1`). The hub's connection has headers of one's
own: `Authorization: Bearer <secret>`. Sources: help.nicecxone.com, Agent Assist Hub; the messages
are third parties'.
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

_ASK: Final = "have it send mono, a socket for each perspective"
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
    """CXone, closed unless its secret is configured and its being experimental accepted.

    Args:
        settings: how it is configured.
        new_id: gives streams their ids.
    """

    name = "cxone"

    class Settings(SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_CXONE_", env_file=".env")

        experimental: bool = Field(
            False,
            description="Listen, although the messages are not the vendor's word. Without it, the "
            "carrier is closed.",
        )

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._settings = settings
        self._new_id = new_id

    @property
    def missing_setting(self) -> str | None:
        """The setting without which nobody is let in."""
        if self.authenticator.missing_setting or self._settings.experimental:
            return self.authenticator.missing_setting
        return variable(self._settings, "experimental")

    @property
    def warning(self) -> str | None:
        """What the operator should know at every start."""
        return "cxone-is-experimental"

    def upgrade(self, request: Request) -> Upgrade:
        """Check the secret in the header; see `Carrier`."""
        if self.missing_setting:
            raise CarrierError("token-missing")
        return self.authenticator.upgrade(request, lambda: CxoneAdapter(self._new_id()))


class CxoneAdapter(Adapter):
    """One stream, of one perspective.

    Args:
        stream_id: the stream's id, because the hub gives none.
    """

    def __init__(self, stream_id: str) -> None:
        self._socket = PcmSocketAdapter(partial(_understand, stream_id))
        self._socket.correct = lambda start: self.correct(start)  # set later

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one text message, and have the audio begin; see `Adapter`."""
        event, *early = self._socket.receive_text(message)
        return (event, _BEGIN, *early) if isinstance(event, CallStarted) else (event,)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Take any number of bytes of audio; see `Adapter`."""
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
