"""SignalWire's cXML streams. Pure.

The messages are Twilio's, with fewer fields: only the start object contains `streamSid`, a stop has
no object, and DTMF messages have no track. Besides mu-law, L16 at 16 and 24 kHz is supported
(`codec="L16@16000h"`). Its byte order is undocumented; it is assumed to be little-endian unless a
setting overrides it.

Webhooks are forms or JSON, signed with the signing key of the space. Upgrades are not signed: they
carry the `authBearerToken` of `<Stream>` as `Authorization: Bearer`. Sources:
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
    """SignalWire; disabled unless its secret is configured."""

    name = "signalwire"
    asks_by_get = True

    class Settings(NextStepSettings, L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_SIGNALWIRE_", env_file=".env")

        signing_key: Secrets[Secret] | None = Field(
            None,
            description="Signing key of the space; verifies webhooks. If it is unset, webhooks "
            "are disabled. Several values, separated by commas, are all accepted.",
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.authenticator = StreamAuthenticator(self.name, settings)

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        if not self._settings.signing_key:
            return variable(self._settings, "signing_key")
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the bearer token; see `Carrier`."""
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))

    def announced(self, request: Request) -> Announced:
        """Verify the signature and return the call; see `ForkingCarrier`."""
        fields, once = self._read(request)
        return replace(read_call(fields, "CallSid"), once=once)

    def status(self, request: Request) -> StreamStatus:
        """Verify the signature and return the status; see `ReportingCarrier`."""
        fields, once = self._read(request)
        return replace(read_status(fields), once=once)

    def _read(self, request: Request) -> tuple[list[tuple[str, str]], SingleUse]:
        """Verify the signature, and return the form's fields or the object's strings."""
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

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the cXML; see `ForkingCarrier`."""
        if link is None:
            return fork(None, {}, self._settings.next_step)
        stream = {
            "url": link.url,
            "track": "both_tracks",
            "codec": "PCMU@8000h",
            "statusCallback": link.status_url,
            "authBearerToken": self.authenticator.token(link, call.call_id, first_seen_s),
        }
        return fork(stream, {}, self._settings.next_step)
