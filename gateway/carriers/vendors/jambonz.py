"""jambonz: the `listen` verb, nested in `dial`, or in the background. Pure.

The first text contains the format, the call's attributes and, merged with them, the verb's
`metadata`. For a `listen` nested in `dial`, the left channel is the caller, but the attributes are
those of the dialed leg. Its `parentCallSid` is the caller's leg, which the webhook announced: that
is the call. Audio is little-endian. The stream ends when the socket closes. Subprotocol
audio.jambonz.org.

Webhooks are signed. Upgrades are not: the gateway's response puts a token in the stream's URL.
Sources:
docs.jambonz.org/verbs/verbs/listen, /dial, /config; jambonz/jambonz-feature-server,
lib/tasks/listen.js and lib/session/call-info.js; signatures: `signatures/jambonz.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec
from pydantic import Field

from common.settings import Secrets, config
from gateway.carriers.auth.signatures import jambonz as signature
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
    MIX_TYPES,
    PcmSocketAdapter,
    formats,
    mix_role,
    new_connection_id,
    texts,
)
from gateway.carriers.protocols.tolerant import fold
from gateway.carriers.settings import (
    L16Settings,
    NextStepSettings,
    Secret,
    SecretSettings,
    plain,
    variable,
)
from gateway.carriers.webhooks.forms import read_call, read_json
from gateway.errors import CarrierError

SUBPROTOCOL: Final = "audio.jambonz.org"

_ASK: Final = "set the verb's sampleRate to 8000, 16000 or 24000, its mixType to stereo"
# The parties' numbers and names are private; the other values are in other fields of events.
_NOT_PASSED_ON: Final = frozenset(
    {"from", "to", "callerid", "callername", "callsid", "samplerate", "mixtype"}
)


class Jambonz(ForkingCarrier, AuthenticatedCarrier):
    """jambonz; disabled unless its secret is configured.

    Args:
        settings: the carrier's settings.
        new_id: returns a new stream id.
    """

    name = "jambonz"
    subprotocols = (SUBPROTOCOL,)

    class Settings(NextStepSettings, L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_JAMBONZ_", env_file=".env")

        webhook_secret: Secrets[Secret] | None = Field(
            None,
            description="Webhook secret of the account; verifies webhooks. If it is unset, "
            "webhooks are disabled. Several values, separated by commas, are all accepted.",
        )

    def __init__(self, settings: Settings, new_id: Callable[[], str] = new_connection_id) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._settings = settings
        self._new_id = new_id

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        if not self._settings.webhook_secret:
            return variable(self._settings, "webhook_secret")
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the token in the URL or the secret (`wsAuth`); see `Carrier`."""
        return self.authenticator.upgrade(request, lambda: new_adapter(self._new_id()))

    def announced(self, request: Request) -> Announced:
        """Verify the signature and return the call; see `ForkingCarrier`."""
        signed = signature.verify(
            plain(self._settings.webhook_secret),
            request.headers.get(signature.SIGNATURE_HEADER),
            request.body,
            request.now_s,
        )
        once = SingleUse.signed(self.name, signed, request.now_s)
        return replace(read_call(read_json(request).items(), "call_sid", "to"), once=once)

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the verbs; see `ForkingCarrier`."""
        listen = None
        if link:
            listen = {
                "url": self.authenticator.url_with_token(link, call.call_id, first_seen_s),
                "mixType": "stereo",
                "sampleRate": 8000,
                "passDtmf": True,
            }
        return Document(msgspec.json.encode([*self._verbs(listen)]), "application/json")

    def _verbs(self, listen: dict[str, object] | None) -> Iterator[dict[str, object]]:
        """Yield the verbs that continue the call. A separate `listen` verb would block them."""
        step = self._settings.next_step
        if step.dial:
            # By default jambonz answers at once; with this, the caller hears the ringing.
            dial = {"verb": "dial", "answerOnBridge": True, "target": [_target(step.dial)]}
            yield dial | {"listen": listen} if listen else dial
            return
        if listen:
            yield {"verb": "config", "listen": {"enable": True, **listen}}
        yield {"verb": "redirect", "actionHook": step.redirect_url}


def _target(dial: str) -> dict[str, str]:
    if dial.startswith("sip:"):
        return {"type": "sip", "sipUri": dial}
    return {"type": "phone", "number": dial}


def new_adapter(connection_id: str) -> PcmSocketAdapter:
    """Create the adapter of one socket.

    Args:
        connection_id: the stream's id, because jambonz sends none.
    """
    return PcmSocketAdapter(partial(_understand, connection_id))


def _understand(connection_id: str, message: bytes) -> CarrierEvent:
    decoded = read(message)
    rate = find(decoded, ("sampleRate", "metadata.sampleRate"))
    if rate is not None:  # first, because metadata may contain an event or a type
        return _read_start(connection_id, rate, decoded)
    if str(find(decoded, ("event",))).lower() == "dtmf":
        return DtmfReceived("inbound")  # jambonz sends only the caller's keys
    match find(decoded, ("type",)):
        case "playDone" | "mark" as name:
            return MessageIgnored(name)
        case _:
            return MessageIgnored("unknown")


def _read_start(connection_id: str, rate: object, message: Mapping[str, object]) -> CallStarted:
    call_id = find_text(message, ("parentCallSid", "callSid", "metadata.callSid"))
    if not call_id:
        raise CarrierError("malformed-message", "callSid is missing")
    mix_type = find_text(message, ("mixType", "metadata.mixType")) or "mono"
    names = MIX_TYPES.get(mix_type.lower(), ())
    fields = texts(message, nested="metadata")
    return CallStarted(
        call_id=call_id,
        stream_id=connection_id,
        tracks=formats(names, "l16", rate, _ASK),
        params={n: value for n, value in fields.items() if fold(n) not in _NOT_PASSED_ON},
        called=find_text(message, ("to", "metadata.to")),
        roles=mix_role(names),
    )
