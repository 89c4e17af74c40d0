"""Webhooks of posted forms, and answers in TwiML or what others made after it. Pure."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode
from xml.etree import ElementTree

from cli.callers.call import Call
from cli.callers.caller import Webhook

CALLER: Final = "+15550100001"  # 555-01xx is reserved for fiction
CALLED: Final = "+15550100002"
ACCOUNT_SID: Final = "AC" + 32 * "0"


def twilio_form(call: Call) -> dict[str, str]:
    """Fill in what Twilio tells of a call that comes in, and those whose answer is TwiML's kind."""
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
    """Write a form's request."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Webhook({**kind, **headers}, urlencode(form).encode())


def find_stream(document: bytes, tag: str = "Stream") -> ElementTree.Element:
    """Find the `<Stream>` in a webhook's answer, or what it is called there.

    Raises:
        ValueError: there is none.
    """
    try:
        stream = ElementTree.fromstring(document).find(f".//{tag}")  # noqa: S314 (size-limited, and from the gateway under test)
    except ElementTree.ParseError:
        stream = None
    if stream is None:
        raise ValueError(f"no <{tag}> in the answer")
    return stream


def url_of(stream: ElementTree.Element, attribute: str = "url") -> str:
    """Give the `url` of a `<Stream>`, or what it is called there; raises ValueError without one."""
    if not (url := stream.get(attribute)):
        raise ValueError(f"no <{stream.tag} {attribute}> in the answer")
    return url


def parameters_of(stream: ElementTree.Element) -> dict[str, str]:
    """Give the parameters of a `<Stream>`."""
    return {p.get("name", ""): p.get("value", "") for p in stream.iter("Parameter")}
