"""Twilio Media Streams. Pure.

`sequenceNumber`, `chunk` and `timestamp` are strings of digits; `chunk` and `timestamp` count per
track, `timestamp` is the presentation time in ms since the stream's start. Nothing is ever sent
back: on a unidirectional stream that is a protocol error (31924). `<Connect><Stream>` speaks the
same, with the inbound track alone.

Twilio signs webhooks and upgrades. Our webhook's TwiML adds a token to the stream's parameters, so
that only calls it has answered can be let in. Sources: twilio.com/docs/voice/media-streams,
twilio.com/docs/usage/security.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, Self

from pydantic import Field, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings

from gateway.carriers.carrier import (
    Announced,
    Document,
    ForkingCarrier,
    Request,
    StreamLink,
    Upgrade,
)
from gateway.carriers.dialect import Dialect, Kind
from gateway.carriers.events import CallStarted
from gateway.carriers.forms import read_form
from gateway.carriers.json_media import JsonMediaAdapter
from gateway.carriers.signatures.twilio import SIGNATURE_HEADER, verify
from gateway.carriers.twilio_webhook import mint_token, verify_token
from gateway.carriers.twiml import NextStep, fork
from gateway.errors import CarrierError
from process.settings import Url, config

CREDENTIAL: Final = "tok"  # the <Parameter> that carries our own token; never published

DIALECT: Final = Dialect(
    carrier="twilio",
    kinds={
        "connected": Kind.NOTE,
        "start": Kind.START,
        "media": Kind.MEDIA,
        "dtmf": Kind.DTMF,
        "mark": Kind.NOTE,
        "stop": Kind.STOP,
    },
    call_id=("start.callSid",),
    stream_id=("start.streamSid", "streamSid"),
    params=("start.customParameters",),
)


class Twilio(ForkingCarrier):
    """Twilio, closed unless its auth token is configured."""

    name = "twilio"
    hidden_params = frozenset({CREDENTIAL})

    class Settings(BaseSettings):
        """How it is configured."""

        model_config = config("GATEWAY_TWILIO_", env_file=".env")

        auth_token: SecretStr | None = Field(
            None, description="Verifies Twilio's signatures. Without it, Twilio is closed."
        )
        ignore_signatures: bool = Field(
            False,
            description="Opens /voice/twilio and /media/twilio to anybody. For a laptop only.",
        )
        require_token: bool = Field(
            False,
            description="Refuse streams that our own webhook did not start (their start message "
            "has no token of ours). A token that is there is always verified.",
        )
        token_ttl_s: PositiveInt = Field(
            300, description="From the webhook's answer until the stream's start message."
        )
        dial: str | None = Field(
            None,
            pattern=r"^(\+[0-9]{5,15}|sip:.+)$",
            repr=False,
            description="Then <Dial> this number, E.164 or sip:.",
        )
        redirect_url: Url | None = Field(None, description="Or then <Redirect> to this URL.")

        @model_validator(mode="after")
        def _belong_together(self) -> Self:
            if self.dial and self.redirect_url:
                raise ValueError("DIAL and REDIRECT_URL exclude each other")
            if self.auth_token and self.ignore_signatures:
                raise ValueError("AUTH_TOKEN and IGNORE_SIGNATURES exclude each other")
            return self

    def __init__(self, settings: Settings) -> None:
        token = settings.auth_token
        self._auth_token = token.get_secret_value() if token else ""
        self._settings = settings

    @property
    def closed_for_want_of(self) -> str | None:
        """The setting without which nobody is let in."""
        is_open = self._auth_token or self._settings.ignore_signatures
        return None if is_open else "GATEWAY_TWILIO_AUTH_TOKEN"

    @property
    def warning(self) -> str | None:
        """What the operator should know."""
        return "twilio-signatures-ignored" if self._settings.ignore_signatures else None

    @property
    def webhook_closed_for_want_of(self) -> str | None:
        """The setting without which an answered call would end."""
        is_open = self._settings.dial or self._settings.redirect_url
        return None if is_open else "GATEWAY_TWILIO_DIAL or GATEWAY_TWILIO_REDIRECT_URL"

    def upgrade(self, request: Request) -> Upgrade:
        """Check the upgrade's signature; see `Carrier`."""
        self._verify(request)
        authorize = partial(self._check_token, now_s=request.now_s)
        return Upgrade(JsonMediaAdapter(DIALECT), authorize)

    def announced(self, request: Request) -> Announced:
        """Check the webhook's signature; see `ForkingCarrier`."""
        form = read_form(request)
        self._verify(request, form)
        fields = dict(form)
        if not (call_id := fields.get("CallSid")):
            raise CarrierError("malformed-body", "CallSid is missing")
        return Announced(call_id, fields.get("To"))

    def document(self, call: Announced, link: StreamLink | None, now_s: float) -> Document:
        """Write the TwiML; see `ForkingCarrier`."""
        token = mint_token(self._auth_token, call.call_id, int(now_s) + self._settings.token_ttl_s)
        stream = {"url": link.url, "track": "both_tracks"} if link else None
        next_step = NextStep(self._settings.dial, self._settings.redirect_url)
        return fork(stream, {CREDENTIAL: token}, next_step)

    def _verify(self, request: Request, form: Sequence[tuple[str, str]] = ()) -> None:
        if self._auth_token:
            verify(self._auth_token, request.url, request.headers.get(SIGNATURE_HEADER), form)

    def _check_token(self, start: CallStarted, now_s: float) -> None:
        token = start.params.get(CREDENTIAL)
        if token is not None:
            verify_token(self._auth_token, start.call_id, token, now_s)
        elif self._settings.require_token:
            raise CarrierError("token-missing")
