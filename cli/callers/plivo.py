"""Plivo: webhook and upgrade are signed with a nonce; timestamps are Unix ms; there is no stop.

Sources: see `gateway/carriers/vendors/plivo.py`.
"""

import secrets
from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.dialogues import Frame, JsonDialogue
from cli.callers.messages import CALLED, CALLER, find_stream, post
from gateway.carriers.auth.signatures.plivo import NONCE_HEADER, SIGNATURE_HEADER, sign


class Plivo(AnnouncingCaller):
    """Plivo."""

    name = "plivo"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._auth_token = credentials["GATEWAY_PLIVO_AUTH_TOKEN"]

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the signed form; see `AnnouncingCaller`."""
        form = {
            "CallUUID": call.call_id,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "Event": "StartApp",
            "From": CALLER.removeprefix("+"),
            "To": CALLED.removeprefix("+"),
        }
        return post(form, self._signature(url, list(form.items())))

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse the XML, in which the URL is the element's text; see `AnnouncingCaller`."""
        return self.direct(call, find_stream(document).text or "", now_s)

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Sign the upgrade; see `Caller`."""
        return [Stream(url, dialogue(call, round(now_s * 1000)), self._signature(url, []))]

    def _signature(self, url: str, form: Sequence[tuple[str, str]]) -> dict[str, str]:
        nonce = f"{secrets.randbelow(10**20):020}"
        return {SIGNATURE_HEADER: sign(self._auth_token, url, nonce, form), NONCE_HEADER: nonce}


def dialogue(call: Call, begin_ms: int) -> JsonDialogue:
    """Return the dialogue of a call's media socket; the first frame starts at Unix `begin_ms`."""

    def write(frame: Frame) -> str:
        return (
            f'{{"event":"media","sequenceNumber":{frame.sequence},"streamId":"{call.stream_id}",'
            f'"media":{{"track":"{frame.track}","timestamp":"{begin_ms + frame.timestamp_ms}",'
            f'"chunk":{frame.chunk},"payload":"{frame.payload}"}},"extra_headers":""}}'
        )

    start = {
        "callId": call.call_id,
        "streamId": call.stream_id,
        "accountId": "MA" + 18 * "0",
        "tracks": list(call.tracks),
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
    }
    begin = {"event": "start", "sequenceNumber": 1, "start": start, "extra_headers": ""}
    return JsonDialogue(call, (begin,), write)
