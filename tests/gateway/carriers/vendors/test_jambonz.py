"""jambonz: texts, metadata, the webhook and its response."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.auth.signatures.jambonz import sign
from gateway.carriers.carrier import Announced, Request
from gateway.carriers.events import CallStarted, DtmfReceived, MessageIgnored
from gateway.carriers.protocols.pcm_socket import PcmSocketAdapter
from gateway.carriers.vendors import jambonz
from gateway.carriers.vendors.jambonz import Jambonz
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, link, upgrade, upgrade_of, webhook
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

START = {
    "sampleRate": 8000,
    "mixType": "stereo",
    "callSid": "c1",
    "parentCallSid": "c0",
    "direction": "outbound",
    "from": "+15550001111",
    "to": "+15550002222",
    "callerId": "+15550001111",
    "callerName": "Jane Roe",
}
DTMF = {"event": "dtmf", "dtmf": "2", "duration": "1600"}


def text(message: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(message | changes).encode()


def start(**changes: Any) -> CallStarted:
    [event] = jambonz.new_adapter("s1").receive_text(text(START, **changes))
    assert isinstance(event, CallStarted)
    return event


def started(**changes: Any) -> PcmSocketAdapter:
    adapter = jambonz.new_adapter("s1")
    adapter.receive_text(text(START, **changes))
    return adapter


class TestStart:
    def test_call_id_is_the_parent_leg(self) -> None:
        found = start()
        # The caller's leg identifies the call.
        assert (found.call_id, found.stream_id) == (
            "c0",
            "s1",
        )
        assert start(parentCallSid=None).call_id == "c1"

    @pytest.mark.parametrize(
        ("mix_type", "tracks", "roles"),
        [
            ("mono", ["inbound"], {}),
            ("", ["inbound"], {}),
            ("mixed", ["mix"], {"mix": "mix"}),
            ("stereo", ["inbound", "outbound"], {}),
        ],
    )
    def test_mix_type_determines_tracks_and_roles(
        self, mix_type: str, tracks: list[str], roles: dict[str, str]
    ) -> None:
        found = start(mixType=mix_type)
        assert ([form.track for form in found.tracks], found.roles) == (tracks, roles)

    def test_unknown_mix_type_is_rejected_with_a_hint(self) -> None:
        with pytest.raises(CarrierError, match=r"unsupported-encoding: .* mixType to stereo"):
            start(mixType="quadrophonic")

    def test_numbers_and_names_are_not_published(self) -> None:
        found = start()
        assert found.called == "+15550002222"
        assert found.params == {"parentCallSid": "c0", "direction": "outbound"}
        assert "555" not in repr(found)

    @pytest.mark.parametrize("nest", [False, True])
    def test_metadata_may_be_merged_or_nested(self, nest: bool) -> None:
        metadata = {"tok": "9f", "event": "fair", "type": "mark"}
        found = start(**({"metadata": metadata} if nest else metadata))
        assert metadata.items() <= found.params.items()

    def test_call_id_may_be_in_nested_metadata(self) -> None:
        alone = {"parentCallSid": None}
        assert start(**alone, metadata={"callSid": "c9"}).call_id == "c1"
        assert start(**alone, callSid=None, metadata={"callSid": "c9"}).call_id == "c9"

    def test_parent_call_sid_in_metadata_is_ignored(self) -> None:
        """Symptom: a token of one call admitted a stream that claimed to be another call's."""
        found = start(parentCallSid=None, metadata={"parentCallSid": "c0"})
        assert found.call_id == "c1"

    @pytest.mark.parametrize("call_sid", ["", None, ["c1"]])
    def test_start_without_call_sid_is_rejected(self, call_sid: object) -> None:
        with pytest.raises(CarrierError, match="malformed-message: callSid is missing"):
            start(callSid=call_sid, parentCallSid=None)


class TestOtherTexts:
    @pytest.mark.parametrize(
        ("mix_type", "track"), [("stereo", "inbound"), ("mono", "inbound"), ("mixed", None)]
    )
    def test_dtmf_belongs_to_the_caller(self, mix_type: str, track: str | None) -> None:
        events = started(mixType=mix_type).receive_text(text(DTMF, dtmf="7"))
        assert [*events] == [DtmfReceived(track)]
        assert "7" not in repr(events)

    def test_dtmf_before_the_start_has_no_track(self) -> None:
        assert [*jambonz.new_adapter("s1").receive_text(text(DTMF))] == [DtmfReceived(None)]

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            ({"type": "playDone", "data": {"id": "1"}}, "playDone"),
            ({"type": "mark", "data": {"name": "m", "event": "playout"}}, "mark"),
            ({"type": ["mark"]}, "unknown"),
            ({"event": "sparkle"}, "unknown"),
            ({}, "unknown"),
        ],
    )
    def test_other_messages_are_ignored(self, message: dict[str, Any], kind: str) -> None:
        assert [*started().receive_text(text(message))] == [MessageIgnored(kind)]

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff", b"7"])
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            started().receive_text(message)


WEBHOOK_SECRET = "wh_secret"
BODY = b'{"call_sid": "c1", "to": "+15550002222", "from": "+15550001111"}'
CALL = Announced("c1", "+15550002222")


def made(**settings: Any) -> Jambonz:
    given = OPEN | {"webhook_secret": WEBHOOK_SECRET, "dial": "+15550003333"} | settings
    return Jambonz(Jambonz.Settings(**given), lambda: "s1")


def signed(body: bytes = BODY, secret: str = WEBHOOK_SECRET, made_s: float = NOW_S) -> Request:
    stamp = f"{made_s:.0f}"
    header = f"t={stamp},v1={sign(secret, stamp, body)}"
    return webhook("jambonz", body, {"Jambonz-Signature": header})


class TestWebhook:
    def test_webhook_announces_a_call(self) -> None:
        call = made().announced(signed())
        assert (call.call_id, call.called) == (CALL.call_id, CALL.called)

    def test_replayed_webhook_has_the_same_id(self) -> None:
        first, again = made().announced(signed()).once, made().announced(signed()).once
        assert first is not None
        assert first == again
        assert first.until_s == NOW_S + 600
        request = signed()
        header = request.headers["Jambonz-Signature"].replace(",", " , ") + ",v1=00"
        reworded = webhook("jambonz", BODY, {"Jambonz-Signature": header})
        assert made().announced(reworded).once == first

    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (webhook("jambonz", BODY, {}), "signature-missing"),
            (signed(secret="another"), "signature-invalid"),
            (replace(signed(), body=BODY + b" "), "signature-invalid"),
            (signed(made_s=NOW_S - 301), "signature-stale"),
            (signed(made_s=NOW_S + 301), "signature-stale"),
            (signed(b"{"), "malformed-body"),
            (signed(b"[]"), "malformed-body"),
            (signed(b'{"call_sid": 7}'), "malformed-body"),
            (signed(b'{"call_sid": ""}'), "malformed-body"),
            (replace(signed(), headers=dict(signed().headers, **{"Content-Type": "text/x"})), ""),
        ],
    )
    def test_invalid_webhook_is_rejected(self, request_: Request, reason: str) -> None:
        with pytest.raises(CarrierError) as caught:
            made().announced(request_)
        assert caught.value.reason == (reason or "unsupported-body")

    def test_webhook_is_disabled_without_secret_or_next_step(self) -> None:
        assert made().webhook_missing_setting is None
        without = made(webhook_secret=None).webhook_missing_setting
        assert without == "GATEWAY_JAMBONZ_WEBHOOK_SECRET"
        without = made(dial=None).webhook_missing_setting
        assert without == "GATEWAY_JAMBONZ_DIAL or GATEWAY_JAMBONZ_REDIRECT_URL"


class TestDocument:
    @staticmethod
    def verbs(carrier: Jambonz, is_forked: bool = True) -> Any:
        document = carrier.document(CALL, link("jambonz") if is_forked else None, NOW_S)
        assert document.content_type == "application/json"
        return json.loads(document.body)

    def test_dial_verb_has_a_nested_listen(self) -> None:
        [dial] = self.verbs(made())
        listen = dial.pop("listen")
        assert listen.pop("url").startswith("wss://gw.example.com/media/jambonz/support/")
        assert listen == {"mixType": "stereo", "sampleRate": 8000, "passDtmf": True}
        assert dial == {
            "verb": "dial",
            "answerOnBridge": True,
            "target": [{"type": "phone", "number": "+15550003333"}],
        }

    def test_dial_target_may_be_a_sip_address(self) -> None:
        [dial] = self.verbs(made(dial="sip:a@example.com"))
        assert dial["target"] == [{"type": "sip", "sipUri": "sip:a@example.com"}]

    def test_redirect_listens_in_the_background(self) -> None:
        """A `listen` that is neither nested nor in the background would block the call."""
        url = "https://ivr.example.com/next"
        config, redirect = self.verbs(made(dial=None, redirect_url=url))
        assert config["verb"] == "config"
        assert config["listen"]["enable"] is True
        assert config["listen"]["mixType"] == "stereo"
        assert redirect == {"verb": "redirect", "actionHook": url}

    def test_answer_without_a_link_does_not_listen(self) -> None:
        [dial] = self.verbs(made(), is_forked=False)
        assert dial.keys() == {"verb", "answerOnBridge", "target"}
        url = "https://ivr.example.com/next"
        assert len(self.verbs(made(dial=None, redirect_url=url), is_forked=False)) == 1

    @pytest.mark.parametrize(
        ("start", "is_admitted"),
        [
            (CallStarted("c1", "s1", ()), True),
            (CallStarted("c2", "s1", ()), False),
            (CallStarted("c2", "s1", (), {"parentCallSid": "c1"}), False),
        ],
    )
    def test_token_is_bound_to_the_call(self, start: CallStarted, is_admitted: bool) -> None:
        [dial] = self.verbs(made())
        admitted = made().upgrade(upgrade_of(dial["listen"]["url"]))
        if is_admitted:
            admitted.authorize(start)
            return
        with pytest.raises(CarrierError, match="token-invalid"):
            admitted.authorize(start)


def test_each_socket_has_its_own_stream_id() -> None:
    carrier = Jambonz(Jambonz.Settings(**OPEN))
    request = upgrade("jambonz", Authorization=f"Bearer {OPEN['secret']}")
    starts = [carrier.upgrade(request).adapter.receive_text(text(START))[0] for _ in range(2)]
    assert len({start.stream_id for start in starts if isinstance(start, CallStarted)}) == 2


shaped = st.builds(
    lambda name, value, other, rest: text({name: value, other: rest}),
    st.sampled_from(["sampleRate", "mixType", "event", "type"]),
    JSON_VALUES | st.sampled_from([8000, "stereo", "dtmf"]),
    st.sampled_from(["callSid", "metadata", "to", "dtmf"]),
    JSON_VALUES,
)


@given(dialogue=dialogues(shaped | damaged(text(START)) | st.just(text(START))))
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]],
) -> None:
    endure(jambonz.new_adapter("s1"), dialogue)
