"""AudioCodes VoiceAI Connect: waits until the session and each participant's stream are accepted.

Sources: see `gateway/carriers/vendors/audiocodes.py`.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer
from cli.callers.dialogues import AnsweredDialogue, Frame, JsonDialogue
from cli.callers.frames import linear_16k
from cli.callers.messages import CALLED, CALLER, moment

_PARTICIPANTS: Final = {"inbound": "caller", "outbound": "callee"}


class AudioCodes(Caller):
    """VoiceAI Connect with an agent-assist bot; it has no webhook."""

    name = "audiocodes"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_AUDIOCODES_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as the bot's token; see `Caller`."""
        participants = [_PARTICIPANTS[track] for track in call.tracks]
        bot_url = f"{url}?participants={','.join(participants)}"
        messages = dialogue(call, participants, round(now_s * 1000))
        return [Stream(bot_url, messages, bearer(self._secret))]


def dialogue(call: Call, participants: Sequence[str], now_ms: int) -> AnsweredDialogue:
    """Return the dialogue of a conversation's socket; it begins at Unix `now_ms`."""

    def write(frame: Frame) -> str:
        return (
            f'{{"type":"userStream.chunk","audioChunk":"{frame.payload}",'
            f'"participant":"{frame.track}"}}'
        )

    initiate = {
        "type": "session.initiate",
        "conversationId": call.call_id,
        "expectAudioMessages": True,
        "botName": "stt",
        "caller": CALLER,
        "supportedMediaFormats": ["raw/lpcm16"],
    }
    start = {
        "type": "event",
        "name": "start",
        "id": str(uuid.uuid4()),
        "timestamp": moment(now_ms),
        "parameters": {"caller": CALLER, "callee": CALLED},
    }
    streams = [{"participant": participant} for participant in participants]
    before: Sequence[Mapping[str, object]] = (
        initiate,
        {"type": "activities", "activities": [start]},
        *({"type": "userStream.start", **stream} for stream in streams),
    )
    end = {"type": "session.end", "reasonCode": "client-disconnected", "reason": "Client Side"}
    after = (*({"type": "userStream.stop", **stream} for stream in streams), end)
    answers = ("session.accepted", None, *["userStream.started"] * len(participants))
    media = JsonDialogue(call, before, write, after, _PARTICIPANTS, linear_16k)
    return AnsweredDialogue(media, "type", answers)
