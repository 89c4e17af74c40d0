"""Telnyx media streaming. Pure.

The order of events is explicitly not guaranteed: frames are reordered by `chunk`, and may arrive
even before the start. The start does not list the tracks, so both are expected. Without a
`stream_codec` the call's own codec is sent, which may be G.722 or Opus, so request PCMU. The
payload is that of RTP, so L16 is assumed to be in network order (RFC 3551) unless a setting
overrides it; Telnyx does not document it.

Webhooks are signed. Upgrades are not: the gateway's TeXML puts a token in the stream's URL. The
token is not bound to the call, because it is undocumented whether TeXML's CallSid equals the
`call_control_id` of the start.
Sources: developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket;
developers.telnyx.com, TeXML `<Stream>`.
"""

from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from common.settings import Secrets, config
from gateway.carriers.auth.signatures import telnyx as signature
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
from gateway.carriers.protocols.dialect import KINDS, Dialect, Kind
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import (
    BYTE_ORDER,
    ByteOrder,
    L16Settings,
    NextStepSettings,
    SecretSettings,
    variable,
)
from gateway.carriers.webhooks.forms import read_call, read_form, read_status
from gateway.carriers.webhooks.twiml import fork
from gateway.errors import CarrierError

DIALECT: Final = Dialect(
    carrier="telnyx",
    kinds={**KINDS, "error": Kind.NOTE},
    call_id=("start.call_control_id",),
    stream_id=("stream_id",),
    params=("start.custom_parameters",),
    called=("start.to",),
    unlisted_tracks=2,
    encoding=("start.media_format.encoding",),
    rate=("start.media_format.sample_rate",),
    channels=("start.media_format.channels",),
    reorder_ms=200,
)


def _check_key(text: str) -> str:
    try:
        signature.read_public_key(text)
    except ValueError:
        raise ValueError(
            "must be base64 of 32 bytes (44 characters), from the account's page "
            "Keys & Credentials > Public Key in the Telnyx portal"
        ) from None
    return text


class Telnyx(ReportingCarrier, AuthenticatedCarrier):
    """Telnyx; disabled unless its secret is configured."""

    name = "telnyx"

    class Settings(NextStepSettings, L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_TELNYX_", env_file=".env")

        public_key: Secrets[Annotated[str, AfterValidator(_check_key)]] | None = Field(
            None,
            description="Public key of the account; verifies webhooks. If it is unset, webhooks "
            "are disabled. Several values, separated by commas, are all accepted.",
        )
        l16_byte_order: ByteOrder = Field("big", description=BYTE_ORDER)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._public_keys = [signature.read_public_key(key) for key in settings.public_key or ()]

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        if not self._settings.public_key:
            return variable(self._settings, "public_key")
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the token in the URL or `stream_auth_token`; see `Carrier`."""
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))

    def announced(self, request: Request) -> Announced:
        """Verify the signature and return the call; see `ForkingCarrier`."""
        form, once = self._read(request)
        # A status callback: the URL is not signed, so it could be replayed here.
        if any(name.startswith("Stream") for name, _ in form):
            raise CarrierError("signature-invalid")
        return replace(read_call(form, "CallSid"), once=once)

    def status(self, request: Request) -> StreamStatus:
        """Verify the signature and return the status; see `ReportingCarrier`."""
        form, once = self._read(request)
        return replace(read_status(form), once=once)

    def _read(self, request: Request) -> tuple[list[tuple[str, str]], SingleUse]:
        headers = request.headers
        shown = signature.verify(
            self._public_keys,
            headers.get(signature.SIGNATURE_HEADER),
            headers.get(signature.TIMESTAMP_HEADER),
            request.body,
            request.now_s,
        )
        return read_form(request), SingleUse.signed(self.name, shown, request.now_s)

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the TeXML; see `ForkingCarrier`."""
        if link is None:
            return fork(None, {}, self._settings.next_step)
        url = self.authenticator.url_with_token(link, None, first_seen_s)
        stream = {
            "url": url,
            "track": "both_tracks",
            "codec": "PCMU",
            "statusCallback": link.status_url,
        }
        return fork(stream, {}, self._settings.next_step)
