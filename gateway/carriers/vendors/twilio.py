"""Twilio Media Streams. Pure.

`sequenceNumber`, `chunk` and `timestamp` are strings of digits. `chunk` and `timestamp` count per
track; `timestamp` is the presentation time in ms since the stream's start. Nothing is ever sent to
Twilio: on a unidirectional stream that is a protocol error (31924). `<Connect><Stream>` uses the
same messages, with only the inbound track.

Twilio signs webhooks and upgrades. An upgrade's signature does not change, so it can be replayed.
Therefore the gateway's TwiML puts a token in the stream's URL, and a setting rejects streams
without one. Sources:
twilio.com/docs/voice/media-streams, twilio.com/docs/usage/security.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self

from pydantic import Field, PositiveInt, model_validator

from common.settings import Secrets, config
from gateway.carriers.auth.signatures import twilio as signature
from gateway.carriers.auth.stream_authenticator import tokens_of
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
    SEVERAL,
    L16Settings,
    NextStepSettings,
    Secret,
    plain,
    variable,
)
from gateway.carriers.webhooks.forms import read_call, read_form, read_status, signed_form
from gateway.carriers.webhooks.twiml import fork
from gateway.errors import CarrierError

DIALECT: Final = Dialect(carrier="twilio")


class Twilio(ReportingCarrier):
    """Twilio; disabled unless its auth token is configured."""

    name = "twilio"
    asks_by_get = True

    class Settings(NextStepSettings, L16Settings):
        """The carrier's settings."""

        model_config = config("GATEWAY_TWILIO_", env_file=".env")

        auth_token: Secrets[Secret] | None = Field(
            None,
            description="Verifies Twilio's signatures. If it is unset, Twilio is disabled. "
            + SEVERAL,
        )
        ignore_signatures: bool = Field(
            False,
            description="Accept requests to /voice/twilio and /media/twilio from anyone. Only for "
            "local development.",
        )
        require_token: bool = Field(
            False,
            description="Reject streams that this gateway's webhook did not start: their URL has "
            "no token. A token in the URL is always verified.",
        )
        token_ttl_s: PositiveInt = Field(
            300, description="How long a token in a webhook's response is valid for the upgrade."
        )

        @model_validator(mode="after")
        def _sign_or_not(self) -> Self:
            if self.auth_token and self.ignore_signatures:
                names = variable(self, "auth_token"), variable(self, "ignore_signatures")
                raise ValueError(f"{' and '.join(names)} exclude each other")
            return self

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._auth_tokens = plain(settings.auth_token)
        self._tokens = tokens_of(self.name, self._auth_tokens, settings.token_ttl_s)

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""
        is_open = self._auth_tokens or self._settings.ignore_signatures
        return None if is_open else "GATEWAY_TWILIO_AUTH_TOKEN"

    @property
    def warning(self) -> str | None:
        """Slug of a warning to log at every startup; None if there is none."""
        return "twilio-signatures-ignored" if self._settings.ignore_signatures else None

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Verify the upgrade's signature and the token in its URL; see `Carrier`."""
        self._verify(request)
        adapter = self._settings.inform(JsonMediaAdapter(DIALECT))
        if request.token is not None:
            return self._tokens.upgrade(request.token, request, lambda: adapter)
        if self._settings.require_token:
            raise CarrierError("token-missing")
        return Upgrade(adapter)

    def announced(self, request: Request) -> Announced:
        """Verify the signature and return the call; see `ForkingCarrier`."""
        form, once = self._read(request)
        return replace(read_call(form, "CallSid"), once=once)

    def status(self, request: Request) -> StreamStatus:
        """Verify the signature and return the status; see `ReportingCarrier`."""
        form, once = self._read(request)
        return replace(read_status(form), once=once)

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the TwiML; see `ForkingCarrier`."""
        if link is None:
            return fork(None, {}, self._settings.next_step)
        url = link.with_token(self._tokens.mint(link.route, call.call_id, first_seen_s, link.seed))
        stream = {"url": url, "track": "both_tracks", "statusCallback": link.status_url}
        return fork(stream, {}, self._settings.next_step)

    def _read(self, request: Request) -> tuple[list[tuple[str, str]], SingleUse | None]:
        form = read_form(request)
        signed = self._verify(request, signed_form(request, form))
        return form, SingleUse(f"{self.name} {signed}", None) if signed else None

    def _verify(self, request: Request, form: Sequence[tuple[str, str]] = ()) -> str | None:
        if not self._auth_tokens:
            return None
        shown = request.headers.get(signature.SIGNATURE_HEADER)
        return signature.verify(self._auth_tokens, request.url, shown, form)
