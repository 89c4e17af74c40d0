"""Signatures of AWS's own signer are accepted; forged ones are rejected."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_sdk_signers import AsyncEventSigner, AWSCredentialIdentity
from smithy_aws_event_stream.events import EventHeaderEncoder, EventMessage

from deploy.local.sagemaker.eventstream import Event, EventStreamError, EventStreamParser
from deploy.local.sagemaker.parts import PayloadPart, SignedParts
from deploy.local.sagemaker.sigv4 import (
    Credentials,
    EventChain,
    SignatureError,
    verify_request,
)
from tests.deploy.local.sagemaker.peers import KEY_ID, SECRET
from tests.deploy.local.sagemaker.signing import PATH, REGION, EventSigner, part, sign_request

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CREDENTIALS = Credentials(KEY_ID, SECRET)


def verify(
    headers: dict[str, str],
    when: datetime = NOON,
    target: str = f"{PATH}?",
    credentials: Credentials = CREDENTIALS,
) -> EventChain:
    return verify_request("POST", target, headers, credentials, when.timestamp())


def event(message: EventMessage) -> Event:
    parser = EventStreamParser()
    parser.feed(message.encode())
    read = parser.next_event()
    assert read
    return read


class TestRequest:
    async def test_accepts_what_aws_signs(self) -> None:
        verify(await sign_request(NOON))

    async def test_accepts_a_variant_in_the_signed_headers(self) -> None:
        verify(await sign_request(NOON, x_amzn_sagemaker_target_variant="blue"))

    async def test_accepts_a_query_in_any_order(self) -> None:
        headers = await sign_request(NOON, query="b=2&a=1%2F3")
        verify(headers, target=f"{PATH}?b=2&a=1%2F3")

    async def test_accepts_a_path_that_needs_escaping(self) -> None:
        """AWS escapes the received path a second time."""
        path = "/endpoints/a%20b/invocations-bidirectional-stream"
        verify(await sign_request(NOON, path=path), target=path)

    async def test_rejects_a_wrong_session_token(self) -> None:
        with_token = Credentials(KEY_ID, SECRET, "token")
        verify(await sign_request(NOON, token="token"), credentials=with_token)
        for token, credentials in (("token", CREDENTIALS), (None, with_token), ("x", with_token)):
            headers = await sign_request(NOON, token=token)
            with pytest.raises(SignatureError) as refused:
                verify(headers, credentials=credentials)
            assert refused.value.code == "UnrecognizedClientException"

    @pytest.mark.parametrize(
        ("minutes", "accepted"), [(-5, True), (5, True), (-6, False), (6, False)]
    )
    async def test_accepts_a_clock_skew_of_up_to_five_minutes(
        self, minutes: int, accepted: bool
    ) -> None:
        headers = await sign_request(NOON)
        when = NOON + timedelta(minutes=minutes)
        if accepted:
            verify(headers, when)
            return
        with pytest.raises(SignatureError) as refused:
            verify(headers, when)
        assert refused.value.code == "InvalidSignatureException"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"authorization": None}, "MissingAuthenticationTokenException"),
            ({"authorization": "Bearer x"}, "IncompleteSignatureException"),
            ({"authorization": ("/sagemaker/", "/s3/")}, "IncompleteSignatureException"),
            ({"authorization": ("content-type;", "")}, "InvalidSignatureException"),
            ({"authorization": ("host;", "")}, "IncompleteSignatureException"),
            ({"authorization": (";x-amz-date", "")}, "IncompleteSignatureException"),
            ({"authorization": (KEY_ID, "AKIDOTHER")}, "UnrecognizedClientException"),
            ({"authorization": ("/20260301/", "/20260302/")}, "InvalidSignatureException"),
            ({"authorization": (REGION, "us-east-1")}, "InvalidSignatureException"),
            ({"host": "localhost:8444"}, "InvalidSignatureException"),
            ({"x-amz-date": "20260301T120001Z"}, "InvalidSignatureException"),
            ({"x-amz-date": "20260301"}, "IncompleteSignatureException"),
            ({"x-amz-date": None}, "IncompleteSignatureException"),
            ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, "InvalidSignatureException"),
            ({"x-amz-added-later": "1"}, "IncompleteSignatureException"),
        ],
    )
    async def test_rejects_a_changed_request(
        self, change: dict[str, str | tuple[str, str] | None], code: str
    ) -> None:
        headers = await sign_request(NOON)
        for name, to in change.items():
            match to:
                case None:
                    del headers[name]
                case str():
                    headers[name] = to
                case (old, new):
                    assert old in headers[name]
                    headers[name] = headers[name].replace(old, new)
        with pytest.raises(SignatureError) as refused:
            verify(headers)
        assert refused.value.code == code

    async def test_rejects_another_secret(self) -> None:
        headers = await sign_request(NOON, secret="other")
        with pytest.raises(SignatureError) as refused:
            verify(headers)
        assert refused.value.code == "InvalidSignatureException"

    async def test_rejects_another_path(self) -> None:
        headers = await sign_request(NOON)
        with pytest.raises(SignatureError):
            verify(headers, target=PATH.replace("callscribe", "other"))

    async def test_errors_contain_no_secret(self) -> None:
        headers = await sign_request(NOON)
        headers["host"] = "elsewhere"
        with pytest.raises(SignatureError) as refused:
            verify(headers)
        shown = repr(refused.value) + repr(CREDENTIALS)
        signature = headers["authorization"].rpartition("=")[2]
        assert SECRET not in shown
        assert signature not in shown


class TestEvents:
    async def test_accepts_what_aws_signs(self) -> None:
        now = datetime.now(UTC)
        headers = await sign_request(now)
        chain = verify(headers, now)
        signer = AsyncEventSigner(
            initial_signature=headers["authorization"].rpartition("=")[2].encode(),
            event_encoder_cls=EventHeaderEncoder,
        )
        identity = AWSCredentialIdentity(access_key_id=KEY_ID, secret_access_key=SECRET)
        parts = SignedParts(chain)
        for data in (b"one", b"two"):
            inner = EventMessage(headers={":event-type": "PayloadPart"}, payload=data)
            signed = await signer.sign(
                event=inner,
                identity=identity,
                properties={"region": REGION, "service": "sagemaker"},
            )
            parts.feed(signed.encode())
            assert parts.next_part(now.timestamp()) == PayloadPart(
                data, is_text=False, is_last=True
            )
        last = await signer.sign_empty(
            event=EventMessage(),
            identity=identity,
            properties={"region": REGION, "service": "sagemaker"},
        )
        parts.feed(last.encode())
        assert parts.next_part(now.timestamp()) is None
        parts.finish()

    async def test_the_key_changes_at_utc_midnight(self) -> None:
        before = datetime(2026, 3, 1, 23, 59, 59, 999_000, tzinfo=UTC)
        after = before + timedelta(milliseconds=1)
        headers = await sign_request(before)
        chain, signer = verify(headers, before), EventSigner(headers)
        for when in (before, after, after + timedelta(minutes=1)):
            chain.verify(event(signer.sign(part(b"x"), when)), when.timestamp())

    @pytest.mark.parametrize(
        "forge",
        [
            pytest.param(lambda e, _: _with(e, payload=e.payload[:-1] + b"!"), id="altered body"),
            pytest.param(lambda e, _: _with(e, payload=b""), id="emptied"),
            pytest.param(
                lambda e, _: _with(e, None, **{":date": NOON + timedelta(seconds=1)}),
                id="wrong date",
            ),
            pytest.param(lambda e, _: EventMessage(payload=e.payload), id="unsigned"),
            pytest.param(
                lambda e, _: EventMessage(headers={":date": NOON}, payload=e.payload),
                id="no signature",
            ),
            pytest.param(
                lambda e, _: _with(e, None, **{":chunk-signature": bytes(32)}), id="zero signature"
            ),
            pytest.param(
                lambda e, _: _with(e, None, **{":chunk-signature": "text"}), id="signature is text"
            ),
            pytest.param(lambda _, signer: signer.sign(part(b"2"), NOON), id="skipped event"),
        ],
    )
    async def test_rejects_a_forged_event(
        self, forge: Callable[[EventMessage, EventSigner], EventMessage]
    ) -> None:
        headers = await sign_request(NOON)
        chain, signer = verify(headers), EventSigner(headers)
        forged = forge(signer.sign(part(b"1"), NOON), signer)
        with pytest.raises(SignatureError) as refused:
            chain.verify(event(forged), NOON.timestamp())
        assert refused.value.code == "InvalidSignatureException"

    async def test_rejects_reordered_and_repeated_events(self) -> None:
        headers = await sign_request(NOON)
        signer = EventSigner(headers)
        first, second = (event(signer.sign(part(data), NOON)) for data in (b"1", b"2"))
        chain = verify(headers)
        with pytest.raises(SignatureError):
            chain.verify(second, NOON.timestamp())
        chain = verify(headers)
        chain.verify(first, NOON.timestamp())
        with pytest.raises(SignatureError):
            chain.verify(first, NOON.timestamp())

    async def test_rejects_another_secret(self) -> None:
        headers = await sign_request(NOON)
        signed = event(EventSigner(headers, "other").sign(part(b"1"), NOON))
        with pytest.raises(SignatureError):
            verify(headers).verify(signed, NOON.timestamp())

    async def test_rejects_another_prior_signature(self) -> None:
        headers = await sign_request(NOON)
        signer = EventSigner(headers)
        signer.prior = "0" * 64
        signed = event(signer.sign(part(b"1"), NOON))
        with pytest.raises(SignatureError):
            verify(headers).verify(signed, NOON.timestamp())

    @pytest.mark.parametrize("minutes", [-6, 6])
    async def test_rejects_an_event_outside_the_clock_skew(self, minutes: int) -> None:
        headers = await sign_request(NOON)
        signed = event(EventSigner(headers).sign(part(b"1"), NOON))
        with pytest.raises(SignatureError, match="expired"):
            verify(headers).verify(signed, (NOON + timedelta(minutes=minutes)).timestamp())


class TestSignedParts:
    async def parts(self) -> tuple[SignedParts, EventSigner]:
        headers = await sign_request(NOON)
        return SignedParts(verify(headers)), EventSigner(headers)

    @pytest.mark.parametrize(
        ("headers", "is_text", "is_last"),
        [
            ({"DataType": "UTF8"}, True, True),
            ({"DataType": "BINARY"}, False, True),
            ({"DataType": "UTF8", "CompletionState": "PARTIAL"}, True, False),
            ({"DataType": "UTF8", "CompletionState": "COMPLETE"}, True, True),
            ({"P": "xxxx"}, True, True),
        ],
    )
    async def test_reads_a_part(
        self, headers: dict[str, str], is_text: bool, is_last: bool
    ) -> None:
        parts, signer = await self.parts()
        parts.feed(signer.sign(part(b"data", **headers), NOON).encode())
        assert parts.next_part(NOON.timestamp()) == PayloadPart(b"data", is_text, is_last)

    @pytest.mark.parametrize(
        "inner",
        [b"no frame", part(b"1") + part(b"2"), part(b"1")[:-1], EventMessage().encode()],
    )
    async def test_rejects_an_event_that_is_not_one_part(self, inner: bytes) -> None:
        parts, signer = await self.parts()
        parts.feed(signer.sign(inner, NOON).encode())
        with pytest.raises(EventStreamError):
            parts.next_part(NOON.timestamp())

    async def test_rejects_an_event_after_the_last(self) -> None:
        parts, signer = await self.parts()
        parts.feed(signer.sign(b"", NOON).encode() + signer.sign(part(b"1"), NOON).encode())
        with pytest.raises(EventStreamError, match="follows"):
            parts.next_part(NOON.timestamp())

    async def test_rejects_a_body_cut_short(self) -> None:
        """A third party that aborts the connection cannot make it look like a complete body."""
        parts, signer = await self.parts()
        parts.feed(signer.sign(part(b"1"), NOON).encode())
        assert parts.next_part(NOON.timestamp())
        with pytest.raises(EventStreamError, match="signed end"):
            parts.finish()

    async def test_reprs_contain_no_content(self) -> None:
        parts, signer = await self.parts()
        signed = signer.sign(part(b"my words"), NOON)
        parts.feed(signed.encode())
        shown = repr(parts.next_part(NOON.timestamp())) + repr(event(signed))
        assert not re.search("my words", shown)


def _with(message: EventMessage, payload: bytes | None = None, **headers: Any) -> EventMessage:
    """Return a copy with another payload or other headers."""
    return EventMessage(
        headers=dict(message.headers) | headers,
        payload=message.payload if payload is None else payload,
    )
