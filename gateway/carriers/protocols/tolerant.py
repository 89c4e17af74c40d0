"""Messages as careless senders write them: other casings, half characters, half messages. Pure.

For what the fast path refuses only. Every step is linear in the message.
"""

import json
import re
from functools import cache
from typing import Final

_MAX_NAMES: Final = 128  # in an object of a vendor; about 30 are usual
_SEPARATORS: Final = str.maketrans("", "", "_-. ")


def mend(message: bytes) -> bytes:
    """Rewrite JSON with what strict readers refuse replaced.

    Half a surrogate pair and bytes that are no UTF-8 become replacement characters, NaN and
    infinity null; a byte order mark is dropped, control characters are escaped.

    Raises:
        ValueError: it is no JSON even so.
        RecursionError: it is nested too deep.
    """
    text = message.decode("utf-8-sig", "replace")
    value = json.loads(text, strict=False, parse_constant=lambda _: None)
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def printable(text: str) -> str:
    """Return a text that UTF-8 can carry: half a surrogate pair becomes `?`."""
    return text.encode(errors="replace").decode()


def fold(name: str) -> str:
    """Return what the spellings of a name share: `callSid`, `call_sid` and `CallSID` are one."""
    return name.translate(_SEPARATORS).lower()


def look_up(holder: object, name: str) -> object:
    """Return an object's value by a name, or else by another spelling of it; None if there is none.

    Args:
        holder: what may be an object.
        name: as the vendor's page spells it.
    """
    if not isinstance(holder, dict):
        return None
    found = holder.get(name)
    if found is not None or len(holder) > _MAX_NAMES:
        return found
    wanted = _fold(name)
    spellings = (value for other, value in holder.items() if fold(other) == wanted)
    return next((value for value in spellings if value is not None), None)


def scrap(message: bytes, name: str) -> str | None:
    """Return the first text that follows a name in what is left of a JSON message."""
    found = _scrap_pattern(name).search(message)
    return found[1].decode(errors="replace") if found else None


@cache
def _fold(name: str) -> str:
    return fold(name)


@cache
def _scrap_pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%s"\s*:\s*"([^"\\]{1,256})"' % re.escape(name.encode()), re.IGNORECASE)
