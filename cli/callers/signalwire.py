"""SignalWire: a cXML webhook, a bearer token on the upgrade, Twilio's messages with fewer fields.

Sources: see `gateway/carriers/vendors/signalwire.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.credentials import bearer
from cli.callers.dialogues import Frame, JsonDialogue, last_sequence
from cli.callers.messages import ACCOUNT_SID, find_stream, post, twilio_form, url_of
from gateway.carriers.auth.signatures.signalwire import SIGNATURE_HEADER, sign


class SignalWire(AnnouncingCaller):
    """SignalWire."""

    name = "signalwire"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._signing_key = credentials["GATEWAY_SIGNALWIRE_SIGNING_KEY"]
        self._secret = credentials["GATEWAY_SIGNALWIRE_SECRET"]

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the signed form; see `AnnouncingCaller`."""
        form = twilio_form(call)
        signature = sign(self._signing_key, url, [*form.items()])
        return post(form, {SIGNATURE_HEADER: signature})

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse cXML, which contains a token; see `AnnouncingCaller`."""
        stream = find_stream(document)
        return _streams(call, url_of(stream), stream.get("authBearerToken", ""))

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as the bearer token; see `Caller`."""
        return _streams(call, url, self._secret)


def _streams(call: Call, url: str, token: str) -> Sequence[Stream]:
    return [Stream(url, dialogue(call), bearer(token))]


def dialogue(call: Call) -> JsonDialogue:
    """Return the dialogue of a call's media socket."""

    def write(frame: Frame) -> str:
        return (
            f'{{"event":"media","sequenceNumber":"{frame.sequence}","media":{{"track":'
            f'"{frame.track}","chunk":"{frame.chunk}","timestamp":"{frame.timestamp_ms}",'
            f'"payload":"{frame.payload}"}}}}'
        )

    start = {
        "streamSid": call.stream_id,
        "accountSid": ACCOUNT_SID,
        "callSid": call.call_id,
        "tracks": list(call.tracks),
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    before = (
        {"event": "connected", "protocol": "Call", "version": "0.2.0"},
        {"event": "start", "sequenceNumber": "1", "start": start},
    )
    stop = {"event": "stop", "sequenceNumber": str(last_sequence(call))}
    return JsonDialogue(call, before, write, (stop,))
