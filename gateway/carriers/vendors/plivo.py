"""Plivo's audio streams. Pure.

There is no `connected`, and no `stop` is documented: the socket closes. Timestamps are Unix ms;
numbers are numbers. What the customer passes on stands in `extra_headers`, beside the start, as
`a=1;b=2`, in older texts `a=1,b=2`, and from the clone Vobiz as `{}`.

Webhooks and upgrades are signed, with a nonce.
Sources: plivo.com/docs, Audio Streaming, protocol reference; signatures: `signatures/plivo.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from xml.etree import ElementTree

from pydantic import Field

from common.settings import Secrets, config
from gateway.carriers.auth.signatures import plivo as signature
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
from gateway.carriers.protocols.dialect import KINDS, Dialect, Kind, Times
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import L16Settings, NextStepSettings, Secret, plain
from gateway.carriers.webhooks.forms import read_call, read_form, read_status, signed_form
from gateway.carriers.webhooks.twiml import respond

DIALECT: Final = Dialect(
    carrier="plivo",
    kinds={**KINDS, "playedStream": Kind.NOTE, "clearedAudio": Kind.NOTE},
    call_id=("start.callId",),
    stream_id=("start.streamId", "streamId"),
    params=("extra_headers",),
    times=Times.WALL,
)


class Plivo(ReportingCarrier):
    """Plivo, closed unless its auth token is configured."""

    name = "plivo"
    asks_by_get = True

    class Settings(NextStepSettings, L16Settings):
        """How it is configured."""

        model_config = config("GATEWAY_PLIVO_", env_file=".env")

        auth_token: Secrets[Secret] | None = Field(
            None,
            description="Verifies Plivo's signatures. Without it, Plivo is closed. Several, "
            "separated by commas, are all accepted.",
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._auth_tokens = plain(settings.auth_token)

    @property
    def missing_setting(self) -> str | None:
        """The setting without which nobody is let in."""
        return None if self._auth_tokens else "GATEWAY_PLIVO_AUTH_TOKEN"

    @property
    def webhook_closed_for_want_of(self) -> str | None:
        """The setting without which an answered call would end."""
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Check the upgrade's signature; see `Carrier`."""
        once = self._verify(request)
        return Upgrade(self._settings.inform(JsonMediaAdapter(DIALECT)), once=once)

    def announced(self, request: Request) -> Announced:
        """Check the webhook's signature; see `ForkingCarrier`."""
        form = read_form(request)
        once = self._verify(request, signed_form(request, form))
        return replace(read_call(form, "CallUUID"), once=once)

    def status(self, request: Request) -> StreamStatus:
        """Check a callback's signature; see `ReportingCarrier`."""
        form = read_form(request)
        once = self._verify(request, signed_form(request, form))
        return replace(read_status(form, "CallUUID", "StreamID", "Event"), once=once)

    def document(self, call: Announced, link: StreamLink | None, now_s: float) -> Document:
        """Write the XML; see `ForkingCarrier`."""
        stream = None
        if link:
            stream = ElementTree.Element(
                "Stream",
                bidirectional="false",
                audioTrack="both",
                contentType="audio/x-mulaw;rate=8000",  # its default is documented both ways
                statusCallbackUrl=link.status_url,
            )
            stream.text = link.url
        return respond(stream, self._settings.next_step, sip_noun="User")

    def _verify(self, request: Request, form: Sequence[tuple[str, str]] = ()) -> SingleUse:
        headers = request.headers
        nonce = signature.verify(
            self._auth_tokens,
            request.url,
            headers.get(signature.SIGNATURE_HEADER),
            headers.get(signature.NONCE_HEADER),
            form,
        )
        return SingleUse(f"{self.name} {nonce}", None)  # no time is signed
