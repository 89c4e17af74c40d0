"""FreeSWITCH, mod_audio_stream: metadata, then stereo with the caller in the left channel.

The URL describes the format:

    uuid_audio_stream <uuid> start wss://...?mix=stereo&rate=8k stereo 8k {"call_id": ...}

Sources: see `gateway/carriers/vendors/freeswitch.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer
from cli.callers.dialogues import BinaryDialogue
from cli.callers.frames import linear
from cli.callers.messages import text


class FreeSwitch(Caller):
    """FreeSWITCH, which has no webhook."""

    name = "freeswitch"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_FREESWITCH_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret in STREAM_EXTRA_HEADERS; see `Caller`."""
        mix = "stereo" if len(call.tracks) == 2 else "mono"
        dialogue = BinaryDialogue(call, text({"call_id": call.call_id}), linear)
        return [Stream(f"{url}?mix={mix}&rate=8k", dialogue, bearer(self._secret))]
