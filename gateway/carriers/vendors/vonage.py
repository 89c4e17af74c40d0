"""Vonage Voice API: the WebSocket endpoint of a call. Pure.

The first text has the audio's `content-type` and, next to it, the headers of the NCCO. The socket
is a leg of the call: it receives a mix of all other legs, unless `canHear` names one. To transcribe
both tracks of a call, two such sockets are needed. Their headers distinguish them:

    call_id    the call; without it, each socket is a separate call
    track      inbound or outbound
    role       customer or agent: who speaks; implies inbound or outbound if there is no track

No NCCO forks a call between two people: a `connect` to a WebSocket connects only the caller. So the
gateway's response puts the caller in a new conversation, and notifies an application of the
operator, which adds the other legs by REST (`POST /v1/calls`, each with an NCCO that joins the
conversation). The notification contains:

    conversation      the conversation's name
    call_id           the `uuid` of the caller's leg
    customer, agent   the `uri` of a WebSocket that `canHear` the caller's leg, or the agent's

Webhooks are signed, by POST and by GET. Upgrades are not: each notified URL contains a token.
Sources: developer.vonage.com/en/voice/voice-api/concepts/websockets, /ncco-reference;
Nexmo/nexmo-developer, websockets.md; signatures: `signatures/vonage.py`.

Audio messages are 20 ms, little-endian. The stream ends when the socket closes.
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

_ASK: Final = (
    "set content-type to audio/l16;rate=16000 in the NCCO; rates 8000 and 24000 are supported, too"
)
_RATE: Final = re.compile(r";\s*rate=([0-9]{1,9})\b", re.IGNORECASE)
_NO_HEADERS: Final = frozenset({"event", "contenttype"})
_TRACK_OF: Final = {"customer": "inbound", "agent": "outbound"}


class Vonage(ForkingCarrier, AuthenticatedCarrier):
    """Vonage; disabled unless its secret is configured.

    Args:
        settings: the carrier's settings.
        new_id: returns a new stream id.
    """

    name = "vonage"
    asks_by_get = True

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_VONAGE_", env_file=".env")

        signature_secret: Secrets[Secret] | None = Field(
            None,
            description="Signature secret of the account; verifies webhooks. If it is unset, "
            "webhooks are disabled. Several values, separated by commas, are all accepted.",
        )
        notify_url: Url | None = Field(
            None,
            description="URL of your application. Vonage notifies it of each call that the "
            "gateway's webhook answers; it adds the agent and the gateway's sockets. If it is "
            "unset, webhooks are disabled.",
        )

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._settings = settings
        self._new_id = new_id

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        if not self._settings.signature_secret:
            return variable(self._settings, "signature_secret")
        return None if self._settings.notify_url else variable(self._settings, "notify_url")

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the token in the URL or the secret (`authorization`); see `Carrier`."""
        return self.authenticator.upgrade(
            request, lambda: new_adapter(self._new_id(), request.query)
        )

    def announced(self, request: Request) -> Announced:
        """Verify the signature and return the call; see `ForkingCarrier`."""
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

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the NCCO; see `ForkingCarrier`.

        The application is also notified without a link, so that it adds the agent. The notified
        values are strings: the vendor's libraries accept no other types.
        """
        conversation = f"callscribe-{call.call_id}"
        payload = {"conversation": conversation, "call_id": call.call_id}
        if link:
            payload |= {
                role: self._url(link, call.call_id, role, first_seen_s) for role in _TRACK_OF
            }
        ncco = [
            {"action": "notify", "payload": payload, "eventUrl": [self._settings.notify_url]},
            # The gateway's sockets are legs, too: they must end with the caller's leg.
            {"action": "conversation", "name": conversation, "endOnExit": True},
        ]
        return Document(msgspec.json.encode(ncco), "application/json")

    def _url(self, link: StreamLink, call_id: str, role: str, now_s: float) -> str:
        query = urlencode({"call_id": call_id, "role": role})
        return f"{self.authenticator.url_with_token(link, call_id, now_s, role)}?{query}"


def new_adapter(connection_id: str, upgrade: Mapping[str, str] | None = None) -> PcmSocketAdapter:
    """Create the adapter of one socket.

    Args:
        connection_id: the stream's id, because Vonage sends none.
        upgrade: the query of the upgrade's URL. Its `call_id`, `track` and `role` override those in
            headers, because the URL is written by the operator or the gateway.
    """
    return PcmSocketAdapter(partial(_understand, connection_id, upgrade or {}))


def _understand(connection_id: str, upgrade: Mapping[str, str], message: bytes) -> CarrierEvent:
    decoded = read(message)
    match str(find(decoded, ("event",))).lower():
        case "websocket:connected":
            return _read_start(connection_id, upgrade, decoded)
        case "websocket:dtmf":
            return DtmfReceived(None)  # Vonage does not say which party pressed it
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
