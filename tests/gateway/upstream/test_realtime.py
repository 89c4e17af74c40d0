"""The client side of the Realtime protocol: exact bytes out, every documented message in."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import REASONS, UpstreamError
from gateway.upstream import realtime
from gateway.upstream.realtime import (
    Delta,
    Deltas,
    Done,
    ErrorReceived,
    SessionCreated,
    UnknownMessage,
)

USAGE = '{"prompt_tokens":39,"total_tokens":62,"completion_tokens":23,"prompt_tokens_details":null}'


class TestEncoding:
    def test_session_update(self) -> None:
        assert realtime.session_update('a/"b"') == b'{"type":"session.update","model":"a/\\"b\\""}'

    def test_commits(self) -> None:
        assert json.loads(realtime.COMMIT) == {"type": "input_audio_buffer.commit", "final": False}
        assert json.loads(realtime.FINAL_COMMIT) == {
            "type": "input_audio_buffer.commit",
            "final": True,
        }

    @given(pcm=st.binary(min_size=2, max_size=64))
    def test_append(self, pcm: bytes) -> None:
        message = json.loads(realtime.append(pcm))
        assert message == {
            "type": "input_audio_buffer.append",
            "audio": base64.b64encode(pcm).decode(),
        }


class TestDecoding:
    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            (
                '{"type":"session.created","id":"sess-0123456789abcdef","created":1}',
                SessionCreated(),
            ),
            ('{"type":"transcription.delta","delta":" word"}', Delta(" word")),
            ('{"type":"transcription.delta","delta":""}', Delta("")),
            ('{"type":"transcription.delta","delta":"\\u00e9\\n"}', Delta("é\n")),
            (
                f'{{"type":"transcription.done","text":"a b","usage":{USAGE}}}',
                Done(json.loads(USAGE)),
            ),
            (
                '{"type":"error","error":"text","code":"invalid_audio"}',
                ErrorReceived("invalid_audio"),
            ),
            ('{"type":"error","error":"text","code":null}', ErrorReceived(None)),
            ('{"type":"error","error":"text"}', ErrorReceived(None)),
            ('{"type":"something.new","x":[1]}', UnknownMessage()),
            ('{"x":1,"type":"transcription.delta","delta":"d","y":{}}', Delta("d")),
        ],
    )
    def test_documented_message_is_decoded(
        self, message: str, expected: realtime.ServerMessage
    ) -> None:
        assert realtime.decode(message.encode()) == expected

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"type":1}',
            b'{"delta":"x"}',
            b'{"type":"transcription.delta"}',
            b'{"type":"transcription.delta","delta":null}',
            b'{"type":"transcription.delta","delta":7}',
            b'{"type":"transcription.delta","delta":"\xff"}',
            b'{"type":"transcription.delta","delta":"' + b"x" * 4097 + b'"}',
            b'{"type":"transcription.deltas"}',
            b'{"type":"transcription.deltas","deltas":7}',
            b'{"type":"transcription.deltas","deltas":[0]}',
            b'{"type":"transcription.deltas","deltas":[-1]}',
            b'{"type":"transcription.deltas","deltas":[1.5]}',
            b'{"type":"transcription.deltas","deltas":[null]}',
            b'{"type":"transcription.deltas","deltas":[100001]}',
            b'{"type":"transcription.deltas","deltas":[99999999999999999999]}',
            b'{"type":"transcription.deltas","deltas":[1,"' + b"x" * 4097 + b'"]}',
            b'{"type":"x","y":' + b"[" * 100_000,
        ],
    )
    def test_malformed_message_is_a_protocol_error(self, message: bytes) -> None:
        with pytest.raises(UpstreamError) as caught:
            realtime.decode(message)
        assert caught.value.reason == "realtime-protocol-error"

    @pytest.mark.parametrize(
        ("code", "reason", "retry"),
        [
            ("model_not_found", "model-not-found", False),
            ("invalid_json", "realtime-error", True),
            ("processing_error", "realtime-error", True),
            ("unknown_event", "realtime-error", True),
            ("invalid_event", "realtime-error", True),
            ("model_not_validated", "realtime-error", True),
            ("invalid_audio", "realtime-error", True),
            ("unknown: secret", "realtime-error", True),
            (None, "realtime-error", True),
        ],
    )
    def test_error_code_maps_to_a_reason_and_is_not_quoted(
        self, code: str | None, reason: str, retry: bool
    ) -> None:
        error = ErrorReceived(code).as_upstream_error()
        assert (error.reason, error.info.retry) == (reason, retry)
        assert "secret" not in str(error)

    def test_repr_has_no_text(self) -> None:
        assert "secret" not in repr(Delta("secret"))
        assert "secret" not in repr(Deltas(("secret",)))

    def test_combined_deltas_are_as_many_as_they_were(self) -> None:
        combined = realtime.decode(b'{"type":"transcription.deltas","deltas":[2," a"," b",1]}')
        assert isinstance(combined, Deltas)
        assert list(combined.texts()) == ["", "", " a", " b", ""]

    @given(message=st.binary() | st.text().map(str.encode))
    def test_any_bytes_decode_to_a_message_or_a_documented_error(self, message: bytes) -> None:
        try:
            realtime.decode(message)
        except UpstreamError as error:
            assert error.reason in REASONS  # noqa: PT017  # one of two valid outcomes
