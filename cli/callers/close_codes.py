"""WebSocket close codes in words. Pure."""

from collections.abc import Mapping
from typing import Final

# What a gateway means by them; docs/reliability.md has the reasons behind each.
_MEANINGS: Final[Mapping[int, str]] = {
    1000: "the call is over",
    1001: "the peer goes away",
    1002: "messages in an order the carrier's protocol does not have",
    1003: "audio or messages of a kind it does not take",
    1006: "the connection broke off without a close frame",
    1007: "a message it could not read",
    1008: "not let in, or no route for the call: see the gateway's log for the reason",
    1009: "a message that is too big",
    1010: "an extension is missing",
    1011: "it failed: see its log",
    1012: "it is being restarted or drained: call again",
    1013: "no capacity for the call now: try again later",
    1014: "a proxy got no valid answer",
    1015: "TLS failed",
}


def in_words(code: int) -> str:
    """Describe a close code."""
    return f"{_MEANINGS.get(code, 'a meaning of its own')} (close code {code})"
