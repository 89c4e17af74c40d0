"""Parse deviating messages: other spellings, invalid characters, cut-off messages. Pure.

Names are matched in every start message; `mend` and `scrap` are used only for messages that strict
parsing rejects. Every step is linear in the message's size.
"""

import json
import re
from functools import cache
from typing import Final

_MAX_NAMES: Final = 128  # in a vendor's object; usually about 30
_SEPARATORS: Final = str.maketrans("", "", "_-. ")


def mend(message: bytes) -> bytes:
    """Rewrite JSON so that strict parsers accept it.

    Lone surrogates and invalid UTF-8 become replacement characters, NaN and infinity become null, a
    byte order mark is removed, and control characters are escaped.

    Raises:
        ValueError: the message is not JSON even so.
        RecursionError: the message is nested too deeply.
    """
    text = message.decode("utf-8-sig", "replace")
    value = json.loads(text, strict=False, parse_constant=lambda _: None)
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def printable(text: str) -> str:
    """Return a text that can be encoded in UTF-8: a lone surrogate becomes `?`."""
    return text.encode(errors="replace").decode()


def fold(name: str) -> str:
    """Normalize a name, so that `callSid`, `call_sid` and `CallSID` are equal."""
    return name.translate(_SEPARATORS).lower()


def look_up(holder: object, name: str) -> object:
    """Return an object's value by a name or another spelling of it; None if there is none.

    Args:
        holder: a parsed value, which may not be an object.
        name: the spelling in the vendor's documentation.
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
    """Return the first string that follows a name in a cut-off JSON message."""
    found = _scrap_pattern(name).search(message)
    return found[1].decode(errors="replace") if found else None


@cache
def _fold(name: str) -> str:
    return fold(name)


@cache
def _scrap_pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%s"\s*:\s*"([^"\\]{1,256})"' % re.escape(name.encode()), re.IGNORECASE)
