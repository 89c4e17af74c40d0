"""TwiML that forks a call's audio and continues the call."""

from xml.etree import ElementTree

from gateway.carriers.webhooks.twiml import NextStep, fork

STREAM = {"url": "wss://gw.example.com/media/twilio", "track": "both_tracks"}


def test_fork_starts_the_stream_then_dials() -> None:
    document = fork(STREAM, {"tok": "t<&>"}, NextStep(dial="+15551234567"))
    assert document.content_type == "text/xml"
    response = ElementTree.fromstring(document.body)
    stream = response.find("Start/Stream")
    assert stream is not None
    assert stream.attrib == STREAM
    assert [p.attrib for p in stream] == [{"name": "tok", "value": "t<&>"}]
    assert response.findtext("Dial/Number") == "+15551234567"
    assert [verb.tag for verb in response] == ["Start", "Dial"]


def test_sip_address_is_dialled_in_a_sip_element() -> None:
    document = fork(STREAM, {}, NextStep(dial="sip:desk@example.com"))
    assert ElementTree.fromstring(document.body).findtext("Dial/Sip") == "sip:desk@example.com"


def test_redirect_url_becomes_a_redirect() -> None:
    url = "https://ivr.example.com/next?a=1&b=2"
    document = fork(STREAM, {}, NextStep(redirect_url=url))
    assert ElementTree.fromstring(document.body).findtext("Redirect") == url


def test_call_continues_without_a_stream() -> None:
    response = ElementTree.fromstring(fork(None, {}, NextStep(dial="+15551234567")).body)
    assert [verb.tag for verb in response] == ["Dial"]
