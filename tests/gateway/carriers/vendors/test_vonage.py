"""Vonage: texts with the NCCO's headers, the webhook and its response."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.carrier import Announced, Request
from gateway.carriers.events import CallStarted, DtmfReceived, MessageIgnored
from gateway.carriers.vendors import vonage
from gateway.carriers.vendors.vonage import Vonage
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, link, upgrade, upgrade_of, webhook
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

CONNECTED = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}
DTMF = {"event": "websocket:dtmf", "digit": "5", "duration": 260}


def text(message: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(message | changes).encode()


def start(upgrade: dict[str, str] | None = None, **headers: Any) -> CallStarted:
    [event] = vonage.new_adapter("s1", upgrade).receive_text(text(CONNECTED, **headers))
    assert isinstance(event, CallStarted)
    return event


class TestStart:
    def test_socket_without_headers_is_a_separate_call(self) -> None:
        assert start() == CallStarted(
            "s1", "s1", (TrackFormat("mix", Encoding.L16LE, 16000),), roles={"mix": "mix"}
        )

    def test_headers_may_be_at_the_top_level_or_nested(self) -> None:
        found = start(headers={"tok": "nested", "queue": "sales"}, tok="9f", address={"city": "x"})
        assert found.params == {"tok": "9f", "queue": "sales"}
        assert "9f" not in repr(found)

    @pytest.mark.parametrize("call_id", ["CON-1", 7])
    def test_call_id_comes_from_a_header(self, call_id: object) -> None:
        assert (start(call_id=call_id).call_id, start().stream_id) == (str(call_id), "s1")

    @pytest.mark.parametrize(
        ("headers", "track", "roles"),
        [
            ({}, "mix", {"mix": "mix"}),
            ({"role": "customer"}, "inbound", {"inbound": "customer"}),
            ({"role": "agent"}, "outbound", {"outbound": "agent"}),
            ({"track": "inbound"}, "inbound", {}),
            ({"track": "outbound", "role": "customer"}, "outbound", {"outbound": "customer"}),
            ({"track": "sideways", "role": "supervisor"}, "mix", {"mix": "mix"}),
            ({"track": None, "role": ["agent"]}, "mix", {"mix": "mix"}),
        ],
    )
    def test_headers_determine_track_and_role(
        self, headers: Any, track: str, roles: dict[str, str]
    ) -> None:
        found = start(**headers)
        assert ([form.track for form in found.tracks], found.roles) == ([track], roles)

    def test_upgrade_query_overrides_headers(self) -> None:
        found = start({"call_id": "c1", "role": "agent"}, call_id="c2", role="customer")
        assert (found.call_id, found.roles) == ("c1", {"outbound": "agent"})
        assert start({"call_id": ""}).call_id == "s1"

    @pytest.mark.parametrize(
        ("content_type", "rate_hz"),
        [
            ("audio/l16;rate=8000", 8000),
            ("audio/L16; rate=24000", 24000),
            ("audio/l16;RATE=16000;channels=1", 16000),
        ],
    )
    def test_content_type_determines_the_rate(self, content_type: Any, rate_hz: int) -> None:
        [form] = start(**{"content-type": content_type}).tracks
        assert form == TrackFormat("mix", Encoding.L16LE, rate_hz)

    @pytest.mark.parametrize(
        "content_type",
        ["audio/l16;rate=44100", "audio/l16;rate=x", "audio/l16", "audio/opus;rate=8000", "", None],
    )
    def test_unsupported_content_types_are_rejected_with_a_hint(self, content_type: Any) -> None:
        with pytest.raises(CarrierError, match=r"audio/l16;rate=16000") as caught:
            start(**{"content-type": content_type})
        assert caught.value.reason == "unsupported-encoding"


class TestOtherTexts:
    def test_dtmf_has_neither_track_nor_digit(self) -> None:
        events = vonage.new_adapter("s1").receive_text(text(DTMF))
        assert [*events] == [DtmfReceived(None)]
        assert "5" not in repr(events)

    @pytest.mark.parametrize(
        ("event", "kind"),
        [
            ("websocket:cleared", "websocket:cleared"),
            ("websocket:notify", "websocket:notify"),
            ("websocket:sparkle", "unknown"),
            (7, "unknown"),
            (None, "unknown"),
        ],
    )
    def test_other_events_are_ignored(self, event: object, kind: str) -> None:
        message = text({"event": event, "payload": {"k": "v"}})
        assert [*vonage.new_adapter("s1").receive_text(message)] == [MessageIgnored(kind)]

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff"])
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            vonage.new_adapter("s1").receive_text(message)


SIGNATURE_SECRET = "sigsecret-of-the-account-0123456789"
NOTIFY_URL = "https://app.example.com/calls"
BODY = b'{"uuid": "u1", "to": "15550002222", "from": "15550001111"}'


def made(**settings: Any) -> Vonage:
    given = {"signature_secret": SIGNATURE_SECRET, "notify_url": NOTIFY_URL}
    return Vonage(Vonage.Settings(**OPEN | given | settings), lambda: "s1")


def signed(body: bytes = BODY, secret: str = SIGNATURE_SECRET, **claims: Any) -> Request:
    payload = {
        "iss": "Vonage",
        "iat": NOW_S,
        "jti": "j1",
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    token = jwt.encode(payload | claims, secret)
    return webhook("vonage", body, {"Authorization": f"Bearer {token}"})


class TestWebhook:
    def test_webhook_announces_a_call(self) -> None:
        call = made().announced(signed())
        assert (call.call_id, call.called) == ("u1", "15550002222")

    def test_replayed_webhook_has_the_same_id(self) -> None:
        first = made().announced(signed()).once
        assert first == made().announced(signed(BODY + b" ")).once
        assert first != made().announced(signed(jti="j2")).once
        assert first is not None
        assert first.until_s == NOW_S + 600

    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (webhook("vonage", BODY, {}), "signature-missing"),
            (signed(secret="another-secret-0123456789-0123456789"), "signature-invalid"),
            (signed(iss="Nobody"), "signature-invalid"),
            (replace(signed(), body=BODY + b" "), "signature-invalid"),
            (signed(iat=NOW_S - 301), "signature-stale"),
            (signed(b"[]"), "malformed-body"),
            (signed(b'{"conversation_uuid": "CON-1"}'), "malformed-body"),
        ],
    )
    def test_invalid_webhook_is_rejected(self, request_: Request, reason: str) -> None:
        with pytest.raises(CarrierError) as caught:
            made().announced(request_)
        assert caught.value.reason == reason

    @pytest.mark.parametrize("name", ["signature_secret", "notify_url"])
    def test_webhook_is_disabled_without_its_settings(self, name: str) -> None:
        assert made().webhook_missing_setting is None
        without = made(**{name: None}).webhook_missing_setting
        assert without == f"GATEWAY_VONAGE_{name.upper()}"


class TestDocument:
    @staticmethod
    def notification(is_forked: bool = True) -> Any:
        document = made().document(Announced("u1"), link("vonage") if is_forked else None, NOW_S)
        assert document.content_type == "application/json"
        notify, conversation = json.loads(document.body)
        assert conversation == {
            "action": "conversation",
            "name": "callscribe-u1",
            "endOnExit": True,
        }
        notification = notify.pop("payload")
        assert notify == {"action": "notify", "eventUrl": [NOTIFY_URL]}
        assert (notification.pop("call_id"), notification.pop("conversation")) == (
            "u1",
            "callscribe-u1",
        )
        return notification

    def test_application_is_notified_of_both_urls(self) -> None:
        notification = self.notification()
        assert notification.keys() == {"customer", "agent"}
        onces = set()
        for role, track in (("customer", "inbound"), ("agent", "outbound")):
            admitted = made().upgrade(upgrade_of(notification[role]))
            [start] = admitted.adapter.receive_text(text(CONNECTED, role="supervisor"))
            assert isinstance(start, CallStarted)
            assert (start.call_id, start.stream_id, start.roles) == ("u1", "s1", {track: role})
            admitted.authorize(start)
            onces.add(admitted.once)
        assert len(onces) == 2

    def test_notified_url_is_bound_to_its_call(self) -> None:
        url = self.notification()["agent"].replace("call_id=u1", "call_id=u2")
        admitted = made().upgrade(upgrade_of(url))
        [start] = admitted.adapter.receive_text(text(CONNECTED, call_id="u1"))
        assert isinstance(start, CallStarted)
        with pytest.raises(CarrierError, match="token-invalid"):
            admitted.authorize(start)

    def test_notification_without_a_link_has_no_urls(self) -> None:
        assert self.notification(is_forked=False) == {}


def test_custom_ncco_headers_identify_the_stream() -> None:
    request = upgrade("vonage", Authorization=f"Bearer {OPEN['secret']}")
    message = text(CONNECTED, call_id="c1", role="agent")
    [start] = made().upgrade(request).adapter.receive_text(message)
    assert isinstance(start, CallStarted)
    assert (start.call_id, start.roles) == ("c1", {"outbound": "agent"})


shaped = st.builds(
    lambda event, name, value: text({"event": event, name: value}),
    st.sampled_from(["websocket:connected", "websocket:dtmf", "other"]),
    st.sampled_from(["content-type", "headers", "track", "role", "call_id", "digit"]),
    JSON_VALUES,
)


@given(dialogue=dialogues(shaped | damaged(text(CONNECTED)) | st.just(text(CONNECTED))))
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]],
) -> None:
    endure(vonage.new_adapter("s1"), dialogue)
