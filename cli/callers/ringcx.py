"""RingCX: perspectives for tracks, a stop of each, no times, and a secret in the URL.

Sources: as those of `gateway/carriers/vendors/ringcx.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.forms import CALLED, CALLER
from cli.callers.gateway import with_route
from cli.callers.json_media import Frame, JsonDialogue


class RingCx(Caller):
    """RingCX; there is no webhook."""

    name = "ringcx"
    labels = {"inbound": "conference", "outbound": "participant"}  # noqa: RUF012 (Caller's is a Mapping)

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_RINGCX_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Put the secret into the URL; see `Caller`."""
        perspectives = {track: self.label(track).capitalize() for track in call.tracks}
        return [Stream(f"{with_route(url)}/{self._secret}", dialogue(call, perspectives))]


def dialogue(call: Call, perspectives: Mapping[str, str]) -> JsonDialogue:
    """Say what RingCX says on a call's media socket."""

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
