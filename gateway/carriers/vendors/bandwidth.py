"""Bandwidth's `<StartStream>`. Pure.

A media message is a flat object without a timestamp: its audio is counted. Missing frames are
detected by its optional `sequenceNumber`; it is undocumented whether that counts each track or all
tracks together. Each track is listed with its own format.

Nothing is signed. Webhooks and callbacks carry the Basic credentials that are configured for the
application. The gateway's BXML puts a token in the stream's URL; Basic credentials from
`destinationUsername` and `destinationPassword` are accepted, too. Sources:
dev.bandwidth.com/docs/voice/bxml/startStream, /transfer, /redirect;
dev.bandwidth.com/docs/voice/webhooks/initiate, /mediaStreamStopped.
"""

import base64
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final, Self
from xml.etree import ElementTree

from msgspec import field
from pydantic import Field

from common.settings import Secrets, config, matching
from gateway.carriers.auth.signatures.checks import any_equal, wire_bytes
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import (
    Announced,
    Document,
    ReportingCarrier,
    Request,
    StreamLink,
    StreamStatus,
    Upgrade,
)
from gateway.carriers.protocols.dialect import Dialect, Frame, Times, find
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import (
    L16Settings,
    LongSecret,
    NextStepSettings,
    SecretSettings,
    plain,
    variable,
)
from gateway.carriers.webhooks.forms import read_call, read_json
from gateway.errors import CarrierError

_ASKING: Final = ("initiate", "answer", "redirect")  # events that are answered with BXML


class Media[P](Frame[P], tag_field="eventType", tag="media", kw_only=True):
    """A media message whose audio is not in a nested object."""

    chunk: Any = field(default=None, name="sequenceNumber")

    @property
    def frame(self) -> Self:
        """The message itself, which has the audio."""
        return self


DIALECT: Final = Dialect(
    carrier="bandwidth",
    event="eventType",
    call_id=("metadata.callId",),
    stream_id=("metadata.streamId",),
    params=("streamParams",),
    tracks=("metadata.tracks",),
    encoding=("mediaFormat.encoding",),
    rate=("mediaFormat.sampleRate",),
    media=Media,
    frame_number=("sequenceNumber",),
    times=Times.NONE,
)


class Bandwidth(ReportingCarrier, AuthenticatedCarrier):
    """Bandwidth; disabled unless its secret is configured."""

    name = "bandwidth"

    class Settings(NextStepSettings, L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_BANDWIDTH_", env_file=".env")

        webhook_username: Annotated[str, matching(r"[^:]+", "must have no colon")] | None = Field(
            None, description="User name of the voice application's webhooks."
        )
        webhook_password: Secrets[LongSecret] | None = Field(
            None,
            description="Password of the webhooks, at least 16 characters. If it or the user name "
            "is unset, webhooks are disabled. Several values, separated by commas, are all "
            "accepted; status callbacks use the first.",
        )

    def __init__(self, settings: Settings) -> None:
        self.authenticator = StreamAuthenticator(self.name, settings)
        self._settings = settings
        self._passwords = plain(settings.webhook_password)
        pairs = [f"{settings.webhook_username}:{password}" for password in self._passwords]
        self._credentials = [b"Basic " + base64.b64encode(pair.encode()) for pair in pairs]

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        for name in ("webhook_username", "webhook_password"):
            if not getattr(self._settings, name):
                return variable(self._settings, name)
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the token in the URL or Basic credentials; see `Carrier`."""
        return self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))

    def announced(self, request: Request) -> Announced:
        """Check the credentials and return the call; see `ForkingCarrier`."""
        event = self._read(request)
        if event.get("eventType") not in _ASKING:
            raise CarrierError("malformed-body", "not an event that is answered with BXML")
        return read_call(event.items(), "callId", "to")

    def status(self, request: Request) -> StreamStatus:
        """Check the credentials and return the status; see `ReportingCarrier`."""
        event = self._read(request)
        call = read_call(event.items(), "callId")
        stream_id = find(event, ("mediaStream.id",))
        if not isinstance(stream_id, str):
            raise CarrierError("malformed-body", "mediaStream.id is missing")
        return StreamStatus(call.call_id, stream_id, event.get("eventType") == "mediaStreamStopped")

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the BXML; see `ForkingCarrier`."""
        response = ElementTree.Element("Response")
        if link:
            ElementTree.SubElement(
                response,
                "StartStream",
                destination=self.authenticator.url_with_token(link, call.call_id, first_seen_s),
                tracks="both",
                streamEventUrl=link.status_url,
                username=self._settings.webhook_username or "",
                password=self._passwords[0],
            )
        step = self._settings.next_step
        if step.redirect_url:
            ElementTree.SubElement(response, "Redirect", redirectUrl=step.redirect_url)
        elif step.dial:
            noun = "SipUri" if step.dial.startswith("sip:") else "PhoneNumber"
            transfer = ElementTree.SubElement(response, "Transfer")
            ElementTree.SubElement(transfer, noun).text = step.dial
        body: bytes = ElementTree.tostring(response, encoding="utf-8", xml_declaration=True)
        return Document(body, "application/xml")

    def _read(self, request: Request) -> Mapping[str, object]:
        shown = request.headers.get("Authorization", "")
        if not shown or self.webhook_missing_setting:
            raise CarrierError("token-missing")
        if not any_equal([wire_bytes(shown)], self._credentials):
            raise CarrierError("token-invalid")
        return read_json(request)
