"""Bandwidth: webhooks and callbacks with Basic credentials, and the BXML response.

Its media messages are tested in `protocols/test_dialects.py`, its authentication of upgrades in
`auth/test_stream_authenticator.py`.
"""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.carriers.carrier import Announced, Request, StreamStatus
from gateway.carriers.events import CallStarted
from gateway.carriers.vendors.bandwidth import Bandwidth
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, basic, link, upgrade_of, webhook

PASSWORD = "a-password-of-webhooks"
INITIATE = {"eventType": "initiate", "callId": "c-1", "to": "+15550002222", "from": "+15550001111"}
STOPPED = {"eventType": "mediaStreamStopped", "callId": "c-1", "mediaStream": {"id": "s-1"}}


def made(**settings: Any) -> Bandwidth:
    given = {"webhook_username": "bw", "webhook_password": PASSWORD, "dial": "+15550003333"}
    return Bandwidth(Bandwidth.Settings(**OPEN | given | settings))


def event_request(event: Any, authorization: str = basic(PASSWORD, "bw")) -> Request:
    headers = {"Authorization": authorization} if authorization else {}
    return webhook("bandwidth", json.dumps(event).encode(), headers)


class TestWebhook:
    @pytest.mark.parametrize("event_type", ["initiate", "answer", "redirect"])
    def test_webhook_announces_a_call(self, event_type: str) -> None:
        call = made().announced(event_request(INITIATE | {"eventType": event_type}))
        assert call == Announced("c-1", "+15550002222")

    @pytest.mark.parametrize(
        ("event", "is_over"),
        [(STOPPED, True), (STOPPED | {"eventType": "mediaStreamStarted"}, False)],
    )
    def test_callback_reports_the_stream(self, event: Any, is_over: bool) -> None:
        assert made().status(event_request(event)) == StreamStatus("c-1", "s-1", is_over)

    @pytest.mark.parametrize(
        ("authorization", "reason"),
        [
            ("", "token-missing"),
            (basic(PASSWORD, "another"), "token-invalid"),
            (basic("another-password", "bw"), "token-invalid"),
            (basic(PASSWORD + "x", "bw"), "token-invalid"),
            (basic("", ""), "token-invalid"),
            (f"Bearer {PASSWORD}", "token-invalid"),
            (f"Bearer {OPEN['secret']}", "token-invalid"),
            ("Basic \udcff", "token-invalid"),
        ],
    )
    def test_wrong_credentials_are_rejected(self, authorization: str, reason: str) -> None:
        for read, event in ((made().announced, INITIATE), (made().status, STOPPED)):
            with pytest.raises(CarrierError) as caught:
                read(event_request(event, authorization))
            assert caught.value.reason == reason

    @pytest.mark.parametrize(
        "event",
        [
            [],
            {},
            {"callId": "c-1"},
            INITIATE | {"callId": 7},
            INITIATE | {"eventType": "disconnect"},
            INITIATE | {"eventType": ["initiate"]},
            STOPPED,
        ],
    )
    def test_body_without_a_call_is_rejected(self, event: Any) -> None:
        with pytest.raises(CarrierError, match="malformed-body"):
            made().announced(event_request(event))

    @pytest.mark.parametrize(
        "event", [[], {}, INITIATE, STOPPED | {"mediaStream": {"id": 7}}, STOPPED | {"callId": ""}]
    )
    def test_callback_without_a_stream_is_rejected(self, event: Any) -> None:
        with pytest.raises(CarrierError, match="malformed-body"):
            made().status(event_request(event))

    @pytest.mark.parametrize("name", ["webhook_username", "webhook_password"])
    def test_webhook_is_disabled_without_credentials(self, name: str) -> None:
        assert made().webhook_missing_setting is None
        carrier = made(**{name: None})
        assert carrier.webhook_missing_setting == f"GATEWAY_BANDWIDTH_{name.upper()}"
        for shown in (basic("", ""), basic("", "None"), basic("", "bw"), basic(PASSWORD, "None")):
            with pytest.raises(CarrierError, match="token-missing"):
                carrier.announced(event_request(INITIATE, shown))

    def test_webhook_is_disabled_without_a_next_step(self) -> None:
        without = made(dial=None).webhook_missing_setting
        assert without == "GATEWAY_BANDWIDTH_DIAL or GATEWAY_BANDWIDTH_REDIRECT_URL"


class TestDocument:
    @staticmethod
    def verbs(is_forked: bool = True, **settings: Any) -> list[ElementTree.Element]:
        target = link("bandwidth") if is_forked else None
        document = made(**settings).document(Announced("c-1"), target, NOW_S)
        assert document.content_type == "application/xml"
        return [*ElementTree.fromstring(document.body)]

    def test_bxml_starts_the_stream_and_transfers(self) -> None:
        stream, transfer = self.verbs()
        attributes = dict(stream.items())
        admitted = made().upgrade(upgrade_of(attributes.pop("destination")))
        admitted.authorize(CallStarted("c-1", "s-1", ()))
        with pytest.raises(CarrierError, match="token-invalid"):
            admitted.authorize(CallStarted("c-2", "s-1", ()))
        assert (stream.tag, attributes) == (
            "StartStream",
            {
                "tracks": "both",
                "streamEventUrl": "https://gw.example.com/voice/bandwidth/status",
                "username": "bw",
                "password": PASSWORD,
            },
        )
        assert (transfer.tag, transfer.findtext("PhoneNumber")) == ("Transfer", "+15550003333")

    def test_bxml_transfers_to_sip_or_redirects(self) -> None:
        [_, transfer] = self.verbs(dial="sip:a@example.com")
        assert transfer.findtext("SipUri") == "sip:a@example.com"
        url = "https://ivr.example.com/next?a=1&b=2"
        [_, redirect] = self.verbs(dial=None, redirect_url=url)
        assert (redirect.tag, redirect.get("redirectUrl")) == ("Redirect", url)

    def test_bxml_without_a_link_starts_no_stream(self) -> None:
        assert [verb.tag for verb in self.verbs(is_forked=False)] == ["Transfer"]
