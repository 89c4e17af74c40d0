"""FreeSWITCH, mod_audio_stream: the format in the URL, metadata first, the caller left.

    uuid_audio_stream <uuid> start wss://...?mix=stereo&rate=8k stereo 8k {"call_id": ...}

Sources: as those of `gateway/carriers/vendors/freeswitch.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.binary_media import BinaryDialogue
from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer
from cli.callers.frames import linear
from cli.callers.json_texts import text


class FreeSwitch(Caller):
    """FreeSWITCH; there is no webhook."""

    name = "freeswitch"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_FREESWITCH_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Show the secret by STREAM_EXTRA_HEADERS; see `Caller`."""
        mix = "stereo" if len(call.tracks) == 2 else "mono"
        dialogue = BinaryDialogue(call, text({"call_id": call.call_id}), linear)
        return [Stream(f"{url}?mix={mix}&rate=8k", dialogue, bearer(self._secret))]
