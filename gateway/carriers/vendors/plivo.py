"""Plivo's audio streams. Pure.

There is no `connected`, and no `stop` is documented: the stream ends when the socket closes.
Timestamps are Unix ms. Numbers are JSON numbers. Custom parameters are in `extra_headers`, next to
the `start` object: as `a=1;b=2`, in older documentation `a=1,b=2`, and from the clone Vobiz `{}`.

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
    """Plivo; disabled unless its auth token is configured."""

    name = "plivo"
    asks_by_get = True

    class Settings(NextStepSettings, L16Settings):
        """The carrier's settings."""

        model_config = config("GATEWAY_PLIVO_", env_file=".env")

        auth_token: Secrets[Secret] | None = Field(
            None,
            description="Verifies Plivo's signatures. If it is unset, Plivo is disabled. Several "
            "values, separated by commas, are all accepted.",
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._auth_tokens = plain(settings.auth_token)

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""
        return None if self._auth_tokens else "GATEWAY_PLIVO_AUTH_TOKEN"

    @property
    def webhook_missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the webhook; None if it is set."""
        return self._settings.next_step_missing

    def upgrade(self, request: Request) -> Upgrade:
        """Verify the upgrade's signature; see `Carrier`."""
        once = self._verify(request)
        return Upgrade(self._settings.inform(JsonMediaAdapter(DIALECT)), once=once)

    def announced(self, request: Request) -> Announced:
        """Verify the signature and return the call; see `ForkingCarrier`."""
        form = read_form(request)
        once = self._verify(request, signed_form(request, form))
        return replace(read_call(form, "CallUUID"), once=once)

    def status(self, request: Request) -> StreamStatus:
        """Verify the signature and return the status; see `ReportingCarrier`."""
        form = read_form(request)
        once = self._verify(request, signed_form(request, form))
        return replace(read_status(form, "CallUUID", "StreamID", "Event"), once=once)

    def document(self, call: Announced, link: StreamLink | None, first_seen_s: float) -> Document:
        """Build the XML; see `ForkingCarrier`."""
        stream = None
        if link:
            stream = ElementTree.Element(
                "Stream",
                bidirectional="false",
                audioTrack="both",
                contentType="audio/x-mulaw;rate=8000",  # documented defaults differ: mu-law, L16
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
