"""Build TwiML, or XML modeled on it, that forks a call's audio and continues the call. Pure.

`<Start>` does not block, so the call would end without another verb. The next verb dials a number
or SIP address, or redirects to the document that handled the call before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from gateway.carriers.carrier import Document


@dataclass(frozen=True, slots=True)
class NextStep:
    """How a call continues; one of the two is set."""

    dial: str | None = field(default=None, repr=False)  # E.164, or sip:
    redirect_url: str | None = field(default=None, repr=False)


def fork(
    stream: Mapping[str, str] | None, parameters: Mapping[str, str], next_step: NextStep
) -> Document:
    """Build a response that forks the call, then continues it.

    Args:
        stream: the attributes of `<Stream>`; None: the call is not forked.
        parameters: custom parameters for the stream's start message.
        next_step: how the call continues.
    """
    if stream is None:
        return respond(None, next_step)
    start = ElementTree.Element("Start")
    element = ElementTree.SubElement(start, "Stream", {**stream})
    for name, value in parameters.items():
        ElementTree.SubElement(element, "Parameter", name=name, value=value)
    return respond(start, next_step)


def respond(
    first: ElementTree.Element | None, next_step: NextStep, sip_noun: str = "Sip"
) -> Document:
    """Build a response of an optional first verb and the verb that continues the call.

    Args:
        first: the verb that forks the call; None: the call is not forked.
        next_step: how the call continues.
        sip_noun: the element for a SIP address in `<Dial>`.
    """
    response = ElementTree.Element("Response")
    if first is not None:
        response.append(first)
    if next_step.redirect_url:
        ElementTree.SubElement(response, "Redirect").text = next_step.redirect_url
    elif next_step.dial:
        noun = sip_noun if next_step.dial.startswith("sip:") else "Number"
        ElementTree.SubElement(ElementTree.SubElement(response, "Dial"), noun).text = next_step.dial
    body: bytes = ElementTree.tostring(response, encoding="utf-8", xml_declaration=True)
    return Document(body, "text/xml")
