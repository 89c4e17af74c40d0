"""SignalWire's cXML streams. Pure.

Twilio's messages, of which fields are left out: no `streamSid` but in the start's body, no `stop`
object, no track of a key. Beside mu-law it has L16 at 16 and 24 kHz (`codec="L16@16000h"`), whose
byte order its page does not tell: little-endian, unless a setting says otherwise.

Webhooks are signed as Twilio's are, with the signing key of the space. Upgrades are not: the
`authBearerToken` of `<Stream>` comes back as `Authorization: Bearer`. Sources:
developer.signalwire.com, cXML `<Stream>`; SignalWire's Security guide.
"""

from functools import partial
from typing import Final

from pydantic import Field, SecretStr

from gateway.carriers.carrier import (
    Announced,
    Document,
    ReportingCarrier,
    Request,
    StreamLink,
    StreamStatus,
    Upgrade,
)
from gateway.carriers.dialect import Dialect
from gateway.carriers.forms import read_call, read_form, read_status, signed_form
from gateway.carriers.gate import Gate, GatedCarrier
from gateway.carriers.json_media import JsonMediaAdapter
from gateway.carriers.parts import (
    L16Settings,
    NextStepSettings,
    SecretSettings,
    plain,
    variable,
)
from gateway.carriers.signatures import twilio as signature
from gateway.carriers.twiml import fork
from process.settings import config

DIALECT: Final = Dialect(carrier="signalwire")

_SIGNATURE_HEADERS: Final = ("X-SignalWire-Signature", signature.SIGNATURE_HEADER)


class SignalWire(ReportingCarrier, GatedCarrier):
    """SignalWire, closed unless its secret is configured."""

    name = "signalwire"
    asks_by_get = True

    class Settings(NextStepSettings, L16Settings, SecretSettings):
        """How it is configured."""

        model_config = config("GATEWAY_SIGNALWIRE_", env_file=".env")

        signing_key: SecretStr | None = Field(
            None, description="Of the space; verifies webhooks. Without it, none is answered."
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.gate = Gate(self.name, settings)

    @property
    def webhook_closed_for_want_of(self) -> str | None:
        """The setting without which a call is not answered."""
        if not self._settings.signing_key:
            return variable(self._settings, "signing_key")
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Check the bearer token; see `Carrier`."""
        return self.gate.upgrade(request, partial(JsonMediaAdapter, DIALECT))

    def announced(self, request: Request) -> Announced:
        """Check the webhook's signature; see `ForkingCarrier`."""
        return read_call(self._read(request), "CallSid")

    def status(self, request: Request) -> StreamStatus:
        """Check a callback's signature; see `ReportingCarrier`."""
        return read_status(self._read(request))

    def _read(self, request: Request) -> list[tuple[str, str]]:
        form = read_form(request)
        shown = (request.headers[name] for name in _SIGNATURE_HEADERS if name in request.headers)
        key = plain(self._settings.signing_key)
        signature.verify(key, request.url, next(shown, None), signed_form(request, form))
        return form

    def document(self, call: Announced, link: StreamLink | None, now_s: float) -> Document:
        """Write the cXML; see `ForkingCarrier`."""
        if link is None:
            return fork(None, {}, self._settings.next_step)
        stream = {
            "url": link.url,
            "track": "both_tracks",
            "codec": "PCMU@8000h",
            "statusCallback": link.status_url,
            "authBearerToken": self.gate.token(link, call.call_id, now_s),
        }
        return fork(stream, {}, self._settings.next_step)
