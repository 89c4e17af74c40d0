"""RingCX: tracks are perspectives with a stop each; no timestamps; a secret in the URL.

Sources: see `gateway/carriers/vendors/ringcx.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import with_secret
from cli.callers.dialogues import Frame, JsonDialogue
from cli.callers.messages import CALLED, CALLER


class RingCx(Caller):
    """RingCX, which has no webhook."""

    name = "ringcx"
    labels = {"inbound": "conference", "outbound": "participant"}  # noqa: RUF012 (Caller's is a Mapping)

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_RINGCX_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Add the secret to the URL; see `Caller`."""
        perspectives = {track: self.label(track).capitalize() for track in call.tracks}
        return [Stream(with_secret(url, self._secret), dialogue(call, perspectives))]


def dialogue(call: Call, perspectives: Mapping[str, str]) -> JsonDialogue:
    """Return the dialogue of a call's media socket."""

    def write(frame: Frame) -> str:
        return (
            f'{{"event":"Media","perspective":"{frame.track}","sequenceId":"{frame.chunk}",'
            f'"media":"{frame.payload}"}}'
        )

    metadata = {
        "callId": call.call_id,
        "sessionId": 1,
        "ani": CALLER,
        "dnis": CALLED,
        "productType": "QUEUE",
        "contentType": "audio/x-mulaw",
        "sampleRateHertz": 8000,
    }
    before = (
        {"event": "Connected", "protocol": "AgentSession", "version": "1.0.0"},
        {"event": "Start", "metadata": metadata},
    )
    stops = [{"event": "Stop", "perspective": name} for name in perspectives.values()]
    return JsonDialogue(call, before, write, stops, perspectives)
