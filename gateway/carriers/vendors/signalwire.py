"""SignalWire's cXML streams. Pure.

Twilio's messages, of which fields are left out: no `streamSid` but in the start's body, no `stop`
object, no track of a key. Beside mu-law it has L16 at 16 and 24 kHz (`codec="L16@16000h"`), whose
byte order its page does not tell: little-endian, unless a setting says otherwise.

Webhooks, forms or JSON, are signed with the signing key of the space. Upgrades are not: the
`authBearerToken` of `<Stream>` comes back as `Authorization: Bearer`. Sources:
developer.signalwire.com, cXML `<Stream>`; SignalWire's Security guide.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from pydantic import Field

from common.settings import Secrets, config
from gateway.carriers.auth.signatures import signalwire as signature
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import (
    Announced,
    Document,
    ReportingCarrier,
    Request,
    SingleUse,
    StreamLink,
    StreamStatus,
    Upgrade,
)
from gateway.carriers.protocols.dialect import Dialect
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import (
    L16Settings,
    NextStepSettings,
    Secret,
    SecretSettings,
    plain,
    variable,
)
from gateway.carriers.webhooks.forms import (
    is_json,
    read_call,
    read_form,
    read_json,
    read_status,
    signed_form,
)
from gateway.carriers.webhooks.twiml import fork

DIALECT: Final = Dialect(carrier="signalwire")


class SignalWire(ReportingCarrier, AuthenticatedCarrier):
    """SignalWire, closed unless its secret is configured."""

    name = "signalwire"
    asks_by_get = True

    class Settings(NextStepSettings, L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_SIGNALWIRE_", env_file=".env")

        signing_key: Secrets[Secret] | None = Field(
            None,
            description="Of the space; verifies webhooks. Without it, none is answered. Several, "
            "separated by commas, are all accepted.",
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.authenticator = StreamAuthenticator(self.name, settings)

    @property
    def webhook_closed_for_want_of(self) -> str | None:
        """The setting without which a call is not answered."""
        if not self._settings.signing_key:
            return variable(self._settings, "signing_key")
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Check the bearer token; see `Carrier`."""
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))

    def announced(self, request: Request) -> Announced:
        """Check the webhook's signature; see `ForkingCarrier`."""
        fields, once = self._read(request)
        return replace(read_call(fields, "CallSid"), once=once)

    def status(self, request: Request) -> StreamStatus:
        """Check a callback's signature; see `ReportingCarrier`."""
        fields, once = self._read(request)
        return replace(read_status(fields), once=once)

    def _read(self, request: Request) -> tuple[list[tuple[str, str]], SingleUse]:
        """Read a form, or an object's texts, once its signature is found good."""
        form = None if is_json(request) else read_form(request)
        signed = signature.verify(
            plain(self._settings.signing_key),
            request.url,
            request.headers,
            request.body,
            None if form is None else signed_form(request, form),
        )
        if form is None:
            members = read_json(request).items()
            form = [(name, value) for name, value in members if isinstance(value, str)]
        return form, SingleUse(f"{self.name} {signed}", None)

    def document(self, call: Announced, link: StreamLink | None, now_s: float) -> Document:
        """Write the cXML; see `ForkingCarrier`."""
        if link is None:
            return fork(None, {}, self._settings.next_step)
        stream = {
            "url": link.url,
            "track": "both_tracks",
            "codec": "PCMU@8000h",
            "statusCallback": link.status_url,
            "authBearerToken": self.authenticator.token(link, call.call_id, now_s),
        }
        return fork(stream, {}, self._settings.next_step)
