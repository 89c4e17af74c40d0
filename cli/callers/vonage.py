"""Vonage: a signed webhook, then a socket for each person on the call.

The webhook's NCCO notifies an application of the sockets' URLs. The application would add the
sockets to the call by REST; this module opens them. Sources: see
`gateway/carriers/vendors/vonage.py`.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import jwt

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.credentials import bearer
from cli.callers.dialogues import BinaryDialogue
from cli.callers.frames import linear
from cli.callers.messages import CALLED, CALLER, actions, text
from gateway.carriers.auth.signatures.vonage import SIGNATURE_HEADER

_ROLES: Final = {"inbound": "customer", "outbound": "agent"}
_MIN_KEY_BYTES: Final = 32  # pyjwt warns about shorter keys; HMAC pads them with zeros anyway


class Vonage(AnnouncingCaller):
    """Vonage."""

    name = "vonage"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._signature_secret = credentials["GATEWAY_VONAGE_SIGNATURE_SECRET"]
        self._secret = credentials["GATEWAY_VONAGE_SECRET"]

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the signed answer webhook; see `AnnouncingCaller`."""
        announced = {
            "from": CALLER.removeprefix("+"),
            "to": CALLED.removeprefix("+"),
            "uuid": call.call_id,
            "conversation_uuid": f"CON-{call.stream_id}",
        }
        body = text(announced).encode()
        claims = {
            "iss": "Vonage",
            "iat": int(now_s),
            "jti": secrets.token_hex(16),
            "api_key": "made-up",
            "payload_hash": hashlib.sha256(body).hexdigest(),
        }
        key = self._signature_secret.encode().ljust(_MIN_KEY_BYTES, b"\0")
        token = jwt.encode(claims, key, algorithm="HS256")
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: f"Bearer {token}"}
        return Webhook(headers, body)

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse the notification in the NCCO; see `AnnouncingCaller`."""
        payloads = (action.get("payload") for action in actions(document))
        for payload in payloads:
            if isinstance(payload, dict) and {*_ROLES.values()} <= payload.keys():
                return [
                    Stream(str(payload[_ROLES[track]]), dialogue(call, track))
                    for track in call.tracks
                ]
        raise ValueError("no sockets in the answer")

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as the endpoint's `authorization`; see `Caller`."""
        return [
            Stream(
                f"{url}?{urlencode({'call_id': call.call_id, 'role': _ROLES[track]})}",
                dialogue(call, track),
                bearer(self._secret),
            )
            for track in call.tracks
        ]


def dialogue(call: Call, track: str) -> BinaryDialogue:
    """Return the dialogue of the socket of one person."""
    number = list(call.tracks).index(track)
    first = {"event": "websocket:connected", "content-type": "audio/l16;rate=8000"}
    return BinaryDialogue(call, text(first), lambda frames: linear([frames[number]]))
