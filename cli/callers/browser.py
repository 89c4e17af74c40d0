"""Browser pages, one for each person: a token in each URL, and 16-bit linear audio.

The protocol is Callscribe's: `gateway/carriers/vendors/browser.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import with_token
from cli.callers.dialogues import BinaryDialogue
from cli.callers.frames import linear
from cli.callers.messages import text


class Browser(Caller):
    """Pages whose server obtains tokens from the gateway."""

    name = "browser"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_BROWSER_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Add tokens to the URLs; see `Caller`."""
        return [
            Stream(
                with_token(url, self.name, self._secret, call.call_id, now_s),
                dialogue(call, number, track),
            )
            for number, track in enumerate(call.tracks)
        ]


def dialogue(call: Call, number: int, track: str) -> BinaryDialogue:
    """Return the dialogue of the page of one track, by its number in the call."""
    start = {
        "type": "start",
        "call_id": call.call_id,
        "stream_id": f"{call.stream_id}-{track}",
        "rate": 8000,
        "track": track,
    }
    stop = text({"type": "stop"})
    return BinaryDialogue(call, text(start), lambda frames: linear([frames[number]]), (stop,))
