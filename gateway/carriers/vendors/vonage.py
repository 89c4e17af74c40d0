"""Vonage Voice API: the WebSocket endpoint of a call. Pure.

The first text has the audio's `content-type` and, beside it, the headers of our own NCCO. The
socket is a leg of the call: it hears a mix of all others, unless `canHear` names the one it hears.
Both tracks of a call are two such sockets, which their headers tell apart:

    call_id    which call; without it each socket is a call of its own
    track      inbound or outbound
    role       customer or agent: who speaks; without a track it stands for its usual one

No NCCO forks a call between two people: its `connect` to a WebSocket talks to the caller alone. So
our answer puts the caller in a conversation of its own, and notifies an application of yours, which
adds the rest by REST (`POST /v1/calls`, each with an NCCO that joins the conversation):

    conversation      its name
    call_id           the caller's leg, its `uuid`
    customer, agent   the `uri` of a WebSocket that `canHear` the caller's leg, or the agent's

Webhooks are signed, by POST and by GET. Upgrades are not: the notified URLs have a token each.
Sources: developer.vonage.com/en/voice/voice-api/concepts/websockets, /ncco-reference;
Nexmo/nexmo-developer, websockets.md; signatures: `signatures/vonage.py`.

Messages are 20 ms, little-endian. The end is the socket's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlencode

import msgspec
from pydantic import Field

from common.settings import Secrets, Url, config
from gateway.carriers.auth.signatures import vonage as signature
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import (
    Announced,
    Document,
    ForkingCarrier,
    Request,
    SingleUse,
    StreamLink,
    Upgrade,
)
from gateway.carriers.events import CallStarted, CarrierEvent, DtmfReceived, MessageIgnored
from gateway.carriers.protocols.dialect import find, find_text, read
from gateway.carriers.protocols.pcm_socket import (
    MIX,
    PcmSocketAdapter,
    formats,
    mix_role,
    new_connection_id,
    texts,
)
from gateway.carriers.protocols.tolerant import fold
from gateway.carriers.settings import L16Settings, Secret, SecretSettings, plain, variable
from gateway.carriers.webhooks.forms import read_call, read_form, read_json

_ASK: Final = "have its NCCO ask for content-type audio/l16;rate=16000; 8000 and 24000 do too"
_RATE: Final = re.compile(r";\s*rate=([0-9]{1,9})\b", re.IGNORECASE)
_NO_HEADERS: Final = frozenset({"event", "contenttype"})
_TRACK_OF: Final = {"customer": "inbound", "agent": "outbound"}


class Vonage(ForkingCarrier, AuthenticatedCarrier):
    """Vonage, closed unless its secret is configured.

    Args:
        settings: how it is configured.
        new_id: gives streams their ids.
    """

    name = "vonage"
    asks_by_get = True

    class Settings(L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_VONAGE_", env_file=".env")

        signature_secret: Secrets[Secret] | None = Field(
            None,
            description="Of the account; verifies webhooks. Without it, none is answered. Several, "
            "separated by commas, are all accepted.",
        )
        notify_url: Url | None = Field(
            None,
            description="An application of yours, which Vonage tells of each call answered by our "
            "webhook: it adds the agent and our sockets. Without it, none is answered.",
        )

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._settings = settings
        self._new_id = new_id

    @property
    def webhook_closed_for_want_of(self) -> str | None:
        """The setting without which a call is not answered, or left alone."""
        if not self._settings.signature_secret:
            return variable(self._settings, "signature_secret")
        return None if self._settings.notify_url else variable(self._settings, "notify_url")

    def upgrade(self, request: Request) -> Upgrade:
        """Check the token in the URL, or the secret (`authorization`); see `Carrier`."""
        return self.authenticator.upgrade(
            request, lambda: new_adapter(self._new_id(), request.query)
        )

    def announced(self, request: Request) -> Announced:
        """Check the webhook's signature; see `ForkingCarrier`."""
        is_post = request.method == "POST"
        jti = signature.verify(
            plain(self._settings.signature_secret),
            request.headers.get(signature.SIGNATURE_HEADER),
            request.body if is_post else signature.payload_of_get(request.query),
            request.now_s,
        )
        once = SingleUse.signed(self.name, jti, request.now_s)
        fields = read_json(request).items() if is_post else read_form(request)
        return replace(read_call(fields, "uuid", "to"), once=once)

    def document(self, call: Announced, link: StreamLink | None, now_s: float) -> Document:
        """Write the NCCO; see `ForkingCarrier`. Without a link the call has its agent all the same.

        The notified values are texts: the vendor's own libraries take no others.
        """
        conversation = f"callscribe-{call.call_id}"
        told = {"conversation": conversation, "call_id": call.call_id}
        if link:
            told |= {role: self._url(link, call.call_id, role, now_s) for role in _TRACK_OF}
        ncco = [
            {"action": "notify", "payload": told, "eventUrl": [self._settings.notify_url]},
            # Our sockets are legs as well: they shall not outlive the caller's.
            {"action": "conversation", "name": conversation, "endOnExit": True},
        ]
        return Document(msgspec.json.encode(ncco), "application/json")

    def _url(self, link: StreamLink, call_id: str, role: str, now_s: float) -> str:
        query = urlencode({"call_id": call_id, "role": role})
        return f"{self.authenticator.url_with_token(link, call_id, now_s, role)}?{query}"


def new_adapter(connection_id: str, upgrade: Mapping[str, str] | None = None) -> PcmSocketAdapter:
    """Make the adapter of one socket.

    Args:
        connection_id: the stream's id, because Vonage gives none.
        upgrade: what the upgrade's URL says of `call_id`, `track` and `role`; it outweighs headers,
            because the URL is the operator's, or our own.
    """
    return PcmSocketAdapter(partial(_understand, connection_id, upgrade or {}))


def _understand(connection_id: str, upgrade: Mapping[str, str], message: bytes) -> CarrierEvent:
    decoded = read(message)
    match str(find(decoded, ("event",))).lower():
        case "websocket:connected":
            return _read_start(connection_id, upgrade, decoded)
        case "websocket:dtmf":
            return DtmfReceived(None)  # of any party on the call
        case "websocket:cleared" | "websocket:notify" as name:
            return MessageIgnored(name)
        case _:
            return MessageIgnored("unknown")


def _read_start(
    connection_id: str, upgrade: Mapping[str, str], message: Mapping[str, object]
) -> CallStarted:
    fields = texts(message, nested="headers")
    content_type = find_text(fields, ("content-type",)) or ""
    fields = {name: value for name, value in fields.items() if fold(name) not in _NO_HEADERS}
    rate = _RATE.search(content_type)
    named = {**fields, **upgrade}
    role, track = (find_text(named, (name,)) or "" for name in ("role", "track"))
    if track not in _TRACK_OF.values():
        track = _TRACK_OF.get(role, MIX)
    return CallStarted(
        call_id=find_text(named, ("call_id",)) or connection_id,
        stream_id=connection_id,
        tracks=formats([track], content_type.partition(";")[0], rate and rate[1], _ASK),
        params=fields,
        roles={track: role} if role in _TRACK_OF else mix_role([track]),
    )
