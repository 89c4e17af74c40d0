"""Twilio: a webhook, a signed upgrade, and both tracks on one socket.

`sampleRate` and `channels` are JSON numbers; all other numbers are strings. Source of the messages:
twilio.com/docs/voice/media-streams/websocket-messages.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import AnnouncingCaller, Stream, Webhook
from cli.callers.dialogues import Frame, JsonDialogue, last_sequence
from cli.callers.messages import ACCOUNT_SID, find_stream, parameters_of, post, twilio_form, url_of
from gateway.carriers.auth.signatures.twilio import SIGNATURE_HEADER, sign


class Twilio(AnnouncingCaller):
    """Twilio; if there is no auth token, requests are not signed."""

    name = "twilio"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._auth_token = credentials.get("GATEWAY_TWILIO_AUTH_TOKEN")

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the signed form; see `AnnouncingCaller`."""
        form = twilio_form(call)
        return post(form, self._signature(url, form))

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Parse TwiML; see `AnnouncingCaller`."""
        stream = find_stream(document)
        return self._streams(call, url_of(stream), parameters_of(stream))

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Sign the upgrade; see `Caller`."""
        return self._streams(call, url, {})

    def _streams(self, call: Call, url: str, parameters: Mapping[str, str]) -> Sequence[Stream]:
        return [Stream(url, dialogue(call, parameters), self._signature(url, {}))]

    def _signature(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        if not self._auth_token:
            return {}
        return {SIGNATURE_HEADER: sign(self._auth_token, url, form.items())}


def dialogue(
    call: Call, parameters: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> JsonDialogue:
    """Return the dialogue of a call's media socket."""
    labels = labels or {}

    def write(frame: Frame) -> str:
        return (
            f'{{"event":"media","sequenceNumber":"{frame.sequence}","media":{{"track":'
            f'"{frame.track}","chunk":"{frame.chunk}","timestamp":"{frame.timestamp_ms}",'
            f'"payload":"{frame.payload}"}},"streamSid":"{call.stream_id}"}}'
        )

    start = {
        "accountSid": ACCOUNT_SID,
        "streamSid": call.stream_id,
        "callSid": call.call_id,
        "tracks": [labels.get(track, track) for track in call.tracks],
        "customParameters": dict(parameters),
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    before = (
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": call.stream_id},
    )
    stop = {
        "event": "stop",
        "sequenceNumber": str(last_sequence(call)),
        "streamSid": call.stream_id,
        "stop": {"accountSid": ACCOUNT_SID, "callSid": call.call_id},
    }
    return JsonDialogue(call, before, write, (stop,), labels)
