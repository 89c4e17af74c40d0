"""Azure Communication Services: unmixed audio at 16 kHz, with the time of day in each message.

`transportUrl` contains a stream token and names the participants. Sources: see
`gateway/carriers/vendors/acs.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer, with_token
from cli.callers.dialogues import Frame, JsonDialogue
from cli.callers.frames import linear_16k
from cli.callers.messages import CALLER, moment
from gateway.carriers.vendors.acs import CALL_HEADER, CONNECTION_HEADER

_PARTICIPANTS: Final = {"inbound": ("customer", "4:"), "outbound": ("agent", "8:")}
_RAW_IDS: Final = {"inbound": f"4:{CALLER}", "outbound": "8:acs:made-up"}


class Acs(Caller):
    """Azure Communication Services; the URL contains a token issued by the gateway.

    If `GATEWAY_ACS_RESOURCE_ID` is set, the gateway accepts only tokens that Microsoft signed, and
    rejects this caller.
    """

    name = "acs"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_ACS_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Add a token to the URL and a placeholder for Microsoft's token; see `Caller`."""
        transport_url = with_token(url, self.name, self._secret, call.call_id, now_s)
        participants = urlencode([_PARTICIPANTS[track] for track in call.tracks], safe=":")
        headers = {
            CALL_HEADER: call.call_id,
            CONNECTION_HEADER: call.stream_id,
            **bearer("made-up"),
        }
        return [
            Stream(f"{transport_url}?{participants}", dialogue(call, round(now_s * 1000)), headers)
        ]


def dialogue(call: Call, begin_ms: int) -> JsonDialogue:
    """Return the dialogue of a call's media socket; the first frame starts at Unix `begin_ms`."""

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
