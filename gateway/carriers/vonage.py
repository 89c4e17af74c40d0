"""Vonage Voice API: the WebSocket endpoint of a call.

The first text has the audio's `content-type` and, beside it, the headers of our own NCCO. The
socket is a leg of the call: it hears a mix of all others, unless `canHear` names the one it hears.
Both tracks of a call are two such sockets, which their headers tell apart:

    call_id    which call; without it each socket is a call of its own
    track      inbound or outbound
    role       customer or agent: who speaks; without a track it stands for its usual one

Messages are 20 ms, little-endian. The end is the socket's. Sources:
developer.vonage.com/en/voice/voice-api/concepts/websockets; Nexmo/nexmo-developer, websockets.md.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from gateway.carriers.dialect import read
from gateway.carriers.events import CallStarted, CarrierEvent, DtmfReceived, MessageIgnored
from gateway.carriers.pcm_socket import MIX, PcmSocketAdapter, formats, mix_role, texts
from gateway.errors import CarrierError

_ASK: Final = "have its NCCO ask for content-type audio/l16;rate=16000; 8000 and 24000 do too"
_RATE: Final = re.compile(r";\s*rate=([0-9]{1,9})\b", re.IGNORECASE)
_TRACK_OF: Final = {"customer": "inbound", "agent": "outbound"}


def new_adapter(connection_id: str, upgrade: Mapping[str, str] | None = None) -> PcmSocketAdapter:
    """Make the adapter of one socket.

    Args:
        connection_id: the stream's id, because Vonage gives none.
        upgrade: what the upgrade's URL says of `call_id`, `track` and `role`; it outweighs headers,
            because it is what was authenticated.
    """
    return PcmSocketAdapter(partial(_understand, connection_id, upgrade or {}))


def _understand(connection_id: str, upgrade: Mapping[str, str], message: bytes) -> CarrierEvent:
    decoded = read(message)
    match decoded.get("event"):
        case "websocket:connected":
            return _read_start(connection_id, upgrade, decoded)
        case "websocket:dtmf":
            return DtmfReceived(None)  # of any party on the call
        case "websocket:cleared" | "websocket:notify" as name:
            return MessageIgnored(name)
        case str():
            return MessageIgnored("unknown")
        case _:
            raise CarrierError("malformed-message")


def _read_start(
    connection_id: str, upgrade: Mapping[str, str], message: Mapping[str, object]
) -> CallStarted:
    fields = texts(message, nested="headers")
    del fields["event"]
    content_type = fields.pop("content-type", "")
    rate = _RATE.search(content_type)
    named = {**fields, **upgrade}
    role = named.get("role", "")
    track = named.get("track", "")
    if track not in _TRACK_OF.values():
        track = _TRACK_OF.get(role, MIX)
    return CallStarted(
        call_id=named.get("call_id") or connection_id,
        stream_id=connection_id,
        tracks=formats([track], content_type.partition(";")[0], rate and rate[1], _ASK),
        params=fields,
        roles={track: role} if role in _TRACK_OF else mix_role([track]),
    )
