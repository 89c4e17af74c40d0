"""Azure Communication Services: unmixed audio at 16 kHz, stamped with the time of day.

`transportUrl` has a stream token and names who is heard. Sources: as those of
`gateway/carriers/vendors/acs.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer, with_token
from cli.callers.forms import CALLER
from cli.callers.frames import linear_16k
from cli.callers.json_media import Frame, JsonDialogue
from cli.callers.json_texts import moment
from gateway.carriers.vendors.acs import CALL_HEADER, CONNECTION_HEADER

_HEARD: Final = {"inbound": ("customer", "4:"), "outbound": ("agent", "8:")}
_RAW_IDS: Final = {"inbound": f"4:{CALLER}", "outbound": "8:acs:made-up"}


class Acs(Caller):
    """Azure Communication Services; what starts a stream there has a token of the gateway's.

    A gateway that has `GATEWAY_ACS_RESOURCE_ID` believes Microsoft alone, and refuses this.
    """

    name = "acs"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_ACS_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Put a token into the URL, beside what stands for Microsoft's; see `Caller`."""
        transport_url = with_token(url, self.name, self._secret, call.call_id, now_s)
        heard = urlencode([_HEARD[track] for track in call.tracks], safe=":")
        headers = {
            CALL_HEADER: call.call_id,
            CONNECTION_HEADER: call.stream_id,
            **bearer("made-up"),
        }
        return [Stream(f"{transport_url}?{heard}", dialogue(call, round(now_s * 1000)), headers)]


def dialogue(call: Call, begin_ms: int) -> JsonDialogue:
    """Say what Azure says on a call's media socket; the first frame is of `begin_ms`, Unix time."""

    def write(frame: Frame) -> str:
        return (
            f'{{"kind":"AudioData","audioData":{{"timestamp":'
            f'"{moment(begin_ms + frame.timestamp_ms)}","participantRawID":"{frame.track}",'
            f'"data":"{frame.payload}","silent":false}}}}'
        )

    metadata = {
        "subscriptionId": call.stream_id,
        "encoding": "PCM",
        "sampleRate": 16000,
        "channels": 1,
        "length": 640,
    }
    start = {"kind": "AudioMetadata", "audioMetadata": metadata}
    return JsonDialogue(call, (start,), write, (), _RAW_IDS, linear_16k)
