"""jambonz: a signed webhook, answered by a `dial` with a `listen`; caller left, callee right.

Sources: see `gateway/carriers/vendors/jambonz.py`.
"""

import uuid
from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.credentials import basic
from cli.callers.dialogues import BinaryDialogue
from cli.callers.frames import linear
from cli.callers.messages import CALLED, CALLER, actions, text
from gateway.carriers.auth.signatures.jambonz import SIGNATURE_HEADER, sign
from gateway.carriers.vendors.jambonz import SUBPROTOCOL


class Jambonz(AnnouncingCaller):
    """jambonz."""

    name = "jambonz"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._webhook_secret = credentials["GATEWAY_JAMBONZ_WEBHOOK_SECRET"]
        self._secret = credentials["GATEWAY_JAMBONZ_SECRET"]

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the signed call; see `AnnouncingCaller`."""
        announced = {
            "call_sid": call.call_id,
            "direction": "inbound",
            "from": CALLER,
            "to": CALLED,
            "call_status": "trying",
        }
        body, timestamp = text(announced).encode(), str(int(now_s))
        signature = f"t={timestamp},v1={sign(self._webhook_secret, timestamp, body)}"
        return Webhook({"Content-Type": "application/json", SIGNATURE_HEADER: signature}, body)

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse the verbs; the stream is that of the dialed leg; see `AnnouncingCaller`."""
        for verb in actions(document):
            listen = verb.get("listen")
            if isinstance(listen, dict) and isinstance(url := listen.get("url"), str):
                return _streams(
                    call, url, {}, callSid=_dialled_leg(call), parentCallSid=call.call_id
                )
        raise ValueError("no listen in the answer")

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as `wsAuth`; see `Caller`."""
        return _streams(call, url, basic(self._secret))


def _streams(
    call: Call, url: str, headers: Mapping[str, str], **attributes: str
) -> Sequence[Stream]:
    first: dict[str, object] = {
        "sampleRate": 8000,
        "mixType": "stereo" if len(call.tracks) == 2 else "mono",
        "callSid": call.call_id,
        "direction": "outbound",
        "from": CALLER,
        "to": CALLED,
        **attributes,
    }
    return [Stream(url, BinaryDialogue(call, text(first), linear), headers, (SUBPROTOCOL,))]


def _dialled_leg(call: Call) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, call.call_id))
