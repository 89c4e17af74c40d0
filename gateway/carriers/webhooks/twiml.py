"""TwiML, and what others made after it: the answer that forks a call's audio, then lets it go on.

`<Start>` does not block, so without a next verb the call would end: dial a number or SIP address,
or redirect to the document that handled the call before. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from gateway.carriers.carrier import Document


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a call goes on with; one of the two."""

    dial: str | None = field(default=None, repr=False)  # E.164, or sip:
    redirect_url: str | None = field(default=None, repr=False)


def fork(
    stream: Mapping[str, str] | None, parameters: Mapping[str, str], next_step: NextStep
) -> Document:
    """Write the answer.

    Args:
        stream: the attributes of `<Stream>`; None: nothing is forked.
        parameters: what the stream's start message shall carry.
        next_step: what the call goes on with.
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
    """Write an answer of a first verb, if any, and the one that the call goes on with.

    Args:
        first: what forks the call.
        next_step: what the call goes on with.
        sip_noun: what a SIP address stands in, in `<Dial>`.
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
