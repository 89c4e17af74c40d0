"""Requests and messages that several carriers write alike, and answers of webhooks. Pure.

Requests are posted forms or JSON. Answers are TwiML or another carrier's XML, or a JSON list.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from xml.etree import ElementTree

import msgspec

from cli.callers.call import Call
from cli.callers.caller import Webhook

CALLER: Final = "+15550100001"  # 555-01xx is reserved for fiction
CALLED: Final = "+15550100002"
ACCOUNT_SID: Final = "AC" + 32 * "0"


def text(message: Mapping[str, object]) -> str:
    """Encode a message as JSON."""
    return msgspec.json.encode(message).decode()


def moment(unix_ms: int) -> str:
    """Format a time like 2024-11-15T19:16:12.925Z."""
    time = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def twilio_form(call: Call) -> dict[str, str]:
    """Return the form that Twilio posts for an incoming call; other TwiML carriers copy it."""
    return {
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "CallSid": call.call_id,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": CALLER,
        "To": CALLED,
    }


def post(form: Mapping[str, str], headers: Mapping[str, str]) -> Webhook:
    """Return the request that posts a form."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Webhook({**kind, **headers}, urlencode(form).encode())


def find_stream(document: bytes, tag: str = "Stream") -> ElementTree.Element:
    """Return the `<Stream>` element of an answer, or the first element with another tag.

    Raises:
        ValueError: the answer is not XML or has no such element.
    """
    try:
        stream = ElementTree.fromstring(document).find(f".//{tag}")  # noqa: S314 (size-limited, and from the gateway under test)
    except ElementTree.ParseError:
        stream = None
    if stream is None:
        raise ValueError(f"no <{tag}> in the answer")
    return stream


def url_of(stream: ElementTree.Element, attribute: str = "url") -> str:
    """Return the `url` of a `<Stream>` element, or another attribute that contains the URL.

    Raises:
        ValueError: the element has no such attribute.
    """
    if not (url := stream.get(attribute)):
        raise ValueError(f"no <{stream.tag} {attribute}> in the answer")
    return url


def parameters_of(stream: ElementTree.Element) -> dict[str, str]:
    """Return the `<Parameter>` elements of a `<Stream>` by name."""
    return {p.get("name", ""): p.get("value", "") for p in stream.iter("Parameter")}


def actions(document: bytes) -> Iterator[Mapping[str, object]]:
    """Parse an answer that is a JSON list of actions; items that are not objects are left out.

    Raises:
        ValueError: the answer is not a list.
    """
    try:
        decoded = msgspec.json.decode(document, type=list[Any])
    except msgspec.DecodeError:
        raise ValueError("no list of actions in the answer") from None
    return (action for action in decoded if isinstance(action, dict))
