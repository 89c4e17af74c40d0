"""Telnyx: a TeXML webhook signed with the account's key; media messages with snake_case names.

Sources: see `gateway/carriers/vendors/telnyx.py`.
"""

import base64
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.credentials import bearer
from cli.callers.dialogues import Frame, JsonDialogue, last_sequence
from cli.callers.messages import CALLED, CALLER, find_stream, post, twilio_form, url_of
from gateway.carriers.auth.signatures.telnyx import SIGNATURE_HEADER, TIMESTAMP_HEADER


class Telnyx(AnnouncingCaller):
    """Telnyx; CALLER_TELNYX_PRIVATE_KEY is its private key, base64 of 32 bytes."""

    name = "telnyx"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        key = base64.b64decode(credentials["CALLER_TELNYX_PRIVATE_KEY"])
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        self._secret = credentials["GATEWAY_TELNYX_SECRET"]

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the signed form; see `AnnouncingCaller`."""
        unsigned = post(twilio_form(call), {})
        timestamp = str(int(now_s))
        signature = self._key.sign(timestamp.encode() + b"|" + unsigned.body)
        signed = {
            SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            TIMESTAMP_HEADER: timestamp,
        }
        return Webhook({**unsigned.headers, **signed}, unsigned.body)

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse TeXML, whose URL contains a token; see `AnnouncingCaller`."""
        return [Stream(url_of(find_stream(document)), dialogue(call))]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as `stream_auth_token`; see `Caller`."""
        return [Stream(url, dialogue(call), bearer(self._secret))]


def dialogue(call: Call) -> JsonDialogue:
    """Return the dialogue of a call's media socket."""

    def write(frame: Frame) -> str:
        return (
            f'{{"event":"media","sequence_number":"{frame.sequence}","media":{{"track":'
            f'"{frame.track}","chunk":"{frame.chunk}","timestamp":"{frame.timestamp_ms}",'
            f'"payload":"{frame.payload}"}},"stream_id":"{call.stream_id}"}}'
        )

    ids = {"user_id": "made-up", "call_control_id": call.call_id}
    media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    start = {**ids, "from": CALLER, "to": CALLED, "media_format": media_format}
    last = str(last_sequence(call))
    stream_id = {"stream_id": call.stream_id}
    before = (
        {"event": "connected", "version": "1.0.0"},
        {"event": "start", "sequence_number": "1", "start": start, **stream_id},
    )
    stop = {"event": "stop", "sequence_number": last, "stop": ids, **stream_id}
    return JsonDialogue(call, before, write, (stop,))
