"""jambonz: the `listen` verb, alone or nested in `dial`.

The first text has the format, the call's attributes, and the verb's `metadata` merged among them.
A `listen` nested in `dial` hears the caller on the left, yet its attributes are the dialled leg's:
`parentCallSid` is the caller's, and both are passed on. Messages are little-endian; the end is the
socket's. Subprotocol audio.jambonz.org. Sources: docs.jambonz.org/verbs/verbs/listen;
jambonz/jambonz-feature-server, lib/tasks/listen.js and lib/session/call-info.js.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from gateway.carriers.dialect import read
from gateway.carriers.events import CallStarted, CarrierEvent, DtmfReceived, MessageIgnored
from gateway.carriers.pcm_socket import MIX_TYPES, PcmSocketAdapter, formats, mix_role, texts
from gateway.errors import CarrierError

SUBPROTOCOL: Final = "audio.jambonz.org"

_ASK: Final = "set the verb's sampleRate to 8000, 16000 or 24000, its mixType to stereo"
# Who calls whom stays with the call; the rest says what is said elsewhere.
_NOT_PASSED_ON: Final = frozenset(
    {"from", "to", "callerId", "callerName", "callSid", "sampleRate", "mixType"}
)


def new_adapter(connection_id: str) -> PcmSocketAdapter:
    """Make the adapter of one socket.

    Args:
        connection_id: the stream's id, because jambonz gives none.
    """
    return PcmSocketAdapter(partial(_understand, connection_id))


def _understand(connection_id: str, message: bytes) -> CarrierEvent:
    decoded = read(message)
    fields = texts(decoded, nested="metadata")
    if "sampleRate" in fields:  # first, because metadata may have an event or a type of its own
        return _read_start(connection_id, fields)
    if decoded.get("event") == "dtmf":
        return DtmfReceived("inbound")  # of the caller alone
    match decoded.get("type"):
        case "playDone" | "mark" as name:
            return MessageIgnored(name)
        case _:
            return MessageIgnored("unknown")


def _read_start(connection_id: str, fields: Mapping[str, str]) -> CallStarted:
    if "callSid" not in fields:
        raise CarrierError("malformed-message", "no callSid")
    names = MIX_TYPES.get(fields.get("mixType", "mono"), ())
    return CallStarted(
        call_id=fields["callSid"],
        stream_id=connection_id,
        tracks=formats(names, "l16", fields["sampleRate"], _ASK),
        params={name: value for name, value in fields.items() if name not in _NOT_PASSED_ON},
        called=fields.get("to"),
        roles=mix_role(names),
    )
