"""Bandwidth: a webhook with Basic credentials, answered in BXML; media without timestamps.

Sources: see `gateway/carriers/vendors/bandwidth.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.credentials import basic
from cli.callers.dialogues import Frame, JsonDialogue
from cli.callers.messages import CALLED, CALLER, find_stream, text, url_of


class Bandwidth(AnnouncingCaller):
    """Bandwidth."""

    name = "bandwidth"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._username = credentials["GATEWAY_BANDWIDTH_WEBHOOK_USERNAME"]
        self._password = credentials["GATEWAY_BANDWIDTH_WEBHOOK_PASSWORD"]
        self._secret = credentials["GATEWAY_BANDWIDTH_SECRET"]

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the event, with the application's credentials; see `AnnouncingCaller`."""
        event = {
            "eventType": "initiate",
            "accountId": "made-up",
            "callId": call.call_id,
            "direction": "inbound",
            "from": CALLER,
            "to": CALLED,
        }
        authorization = basic(self._password, self._username)
        return Webhook({"Content-Type": "application/json", **authorization}, text(event).encode())

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse BXML, whose URL contains a token; see `AnnouncingCaller`."""
        stream = find_stream(document, "StartStream")
        return [Stream(url_of(stream, "destination"), dialogue(call))]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as `destinationPassword`; see `Caller`."""
        return [Stream(url, dialogue(call), basic(self._secret))]


def dialogue(call: Call) -> JsonDialogue:
    """Return the dialogue of a call's media socket."""

    def write(frame: Frame) -> str:
        return f'{{"eventType":"media","track":"{frame.track}","payload":"{frame.payload}"}}'

    media_format = {"encoding": "audio/PCMU", "sampleRate": 8000}
    metadata = {
        "accountId": "made-up",
        "callId": call.call_id,
        "streamId": call.stream_id,
        "streamName": "stt",
        "tracks": [{"name": track, "mediaFormat": media_format} for track in call.tracks],
    }
    start = {"eventType": "start", "metadata": metadata}
    stop = {"eventType": "stop", "metadata": metadata}
    return JsonDialogue(call, (start,), write, (stop,))
