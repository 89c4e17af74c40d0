"""Encode, sign and decode SageMaker's event-stream frames. Pure.

A message is sent as one PayloadPart event, wrapped in a signed event. Each signature covers the one
before it, and the first covers the request's. The SDK needs about 98 us to serialize and sign an
event and 92 us to decode one, because it derives the signing key four times and models every
header. This module needs a tenth of that. Tests compare its bytes with the SDK's.

    frame    u32 length | u32 headers length | u32 crc of both | headers | payload | u32 crc of all
    header   u8 name length, name, u8 type, value

Source: `vnd.amazon.eventstream`; Signature Version 4, AWS4-HMAC-SHA256-PAYLOAD.
"""

import hashlib
import hmac
import struct
from binascii import crc32
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.errors import from_exception_frame

SERVICE: Final = "sagemaker"
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024  # vLLM's limit for the WebSocket frame behind SageMaker
_MAX_FRAME_BYTES: Final = MAX_MESSAGE_BYTES + 128 * 1024  # the SDK's limit for a frame's headers
_PRELUDE: Final = struct.Struct(">II")
_U32: Final = struct.Struct(">I")
_PRELUDE_BYTES: Final = 12  # with its checksum
_OVERHEAD_BYTES: Final = 16
# Header value types with a fixed size in bytes; 6 (bytes) and 7 (string) carry a u16 length.
_FIXED_BYTES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_SIZED: Final = (6, 7)


def encode_frame(headers: bytes, payload: bytes) -> bytes:
    """Encode one frame from encoded `headers` and `payload`."""
    prelude = _PRELUDE.pack(_OVERHEAD_BYTES + len(headers) + len(payload), len(headers))
    prelude_crc = crc32(prelude)
    rest = b"".join((_U32.pack(prelude_crc), headers, payload))
    return b"".join((prelude, rest, _U32.pack(crc32(rest, prelude_crc))))


def _string_header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return bytes((len(name),)) + name.encode() + b"\x07" + struct.pack(">H", len(encoded)) + encoded


# The order of the headers is the SDK's.
_PART: Final = _string_header(":message-type", "event") + _string_header(
    ":event-type", "PayloadPart"
)
_CONTENT: Final = _string_header(":content-type", "application/octet-stream")
# UTF8: SageMaker sends it to the container as one text frame. Without a type, as a binary frame.
_TEXT_HEADERS: Final = _PART + _string_header("DataType", "UTF8") + _CONTENT
_BINARY_HEADERS: Final = _PART + _CONTENT
_DATE_HEADER: Final = b"\x05:date\x08"
_SIGNATURE_HEADER: Final = b"\x10:chunk-signature\x06\x00\x20"


class FrameSigner:
    """Signs the frames of one stream's messages; each signature covers the previous one.

    Args:
        secret_key: the secret key that signed the request.
        region: AWS region, as in the request's credential scope.
        request_signature: in hexadecimal, from the request's Authorization header.
    """

    def __init__(self, secret_key: str, region: str, request_signature: str) -> None:
        self._secret_key: Final = secret_key
        self._region: Final = region
        self._prior = request_signature.encode()
        self._second = -1
        self._scope = b""
        self._key = b""

    def message(self, payload: bytes, now_ms: int, *, is_binary: bool = False) -> bytes:
        """Return a message as a signed frame; `now_ms` is Unix time."""
        headers = _BINARY_HEADERS if is_binary else _TEXT_HEADERS
        return self._signed(encode_frame(headers, payload), now_ms)

    def end(self, now_ms: int) -> bytes:
        """Return the signed empty frame that ends the stream."""
        return self._signed(b"", now_ms)

    def _signed(self, inner: bytes, now_ms: int) -> bytes:
        second = now_ms // 1000
        if second != self._second:
            self._start_second(second)
        date = _DATE_HEADER + struct.pack(">q", now_ms)
        to_sign = b"\n".join(
            (
                self._scope,
                self._prior,
                hashlib.sha256(date).hexdigest().encode(),
                hashlib.sha256(inner).hexdigest().encode(),
            )
        )
        signature = hmac.digest(self._key, to_sign, "sha256")
        self._prior = signature.hex().encode()
        return encode_frame(b"".join((date, _SIGNATURE_HEADER, signature)), inner)

    def _start_second(self, second: int) -> None:
        """Update the timestamp for a new second and, at UTC midnight, the signing key."""
        self._second = second
        stamp = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
        day = stamp[:8]
        scope = f"{day}/{self._region}/{SERVICE}/aws4_request"
        self._scope = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}".encode()
        self._key = _signing_key(self._secret_key, day, self._region)


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class ResponseDecoder:
    """Decodes messages from the response body, however it is split into chunks."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parts = bytearray()

    @property
    def between_messages(self) -> bool:
        """Whether the body can end here without cutting off a message."""
        return not self._buffer and not self._parts

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message that `data` completes.

        Raises:
            UpstreamError: platform-protocol-error, if a frame is malformed or too large; or the
                reason of an exception frame, after the messages before it were yielded.
        """
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            kinds, payload = frame
            if kinds.get(":message-type") != "event":
                raise from_exception_frame(kinds, payload)
            if kinds.get(":event-type") != "PayloadPart":
                continue  # a newer event type
            if self._parts or kinds.get("CompletionState") == "PARTIAL":
                self._parts += payload
                if len(self._parts) > MAX_MESSAGE_BYTES:
                    raise _malformed("a message above 16 MiB")
                if kinds.get("CompletionState") == "PARTIAL":
                    continue
                payload = bytes(self._parts)
                self._parts.clear()
            yield payload

    def _next_frame(self) -> tuple[dict[str, str], bytes] | None:
        buffer = self._buffer
        if len(buffer) < _PRELUDE_BYTES:
            return None
        total, headers = _PRELUDE.unpack_from(buffer)
        if crc32(buffer[:8]) != _U32.unpack_from(buffer, 8)[0]:
            raise _malformed("a frame's prelude has a wrong checksum")
        if not _OVERHEAD_BYTES + headers <= total <= _MAX_FRAME_BYTES:
            raise _malformed("a frame's lengths are impossible")
        if len(buffer) < total:
            return None
        frame = bytes(buffer[:total])
        del buffer[:total]
        if crc32(frame[:-4]) != _U32.unpack_from(frame, total - 4)[0]:
            raise _malformed("a frame has a wrong checksum")
        payload_at = _PRELUDE_BYTES + headers
        return _strings_of(frame[_PRELUDE_BYTES:payload_at]), frame[payload_at:-4]


@lru_cache(maxsize=128)
def _strings_of(headers: bytes) -> dict[str, str]:
    """Return the string headers of a block by name. Cached, because most blocks are equal."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(headers):
            name_end = at + 1 + headers[at]
            name, kind = headers[at + 1 : name_end].decode(), headers[name_end]
            at = name_end + 1
            if kind in _SIZED:
                start, at = at + 2, at + 2 + struct.unpack_from(">H", headers, at)[0]
                if kind == 7:
                    found[name] = headers[start:at].decode()
            else:
                at += _FIXED_BYTES[kind]
    except (IndexError, KeyError, UnicodeDecodeError, struct.error) as error:
        raise _malformed("a frame's headers are malformed") from error
    if at != len(headers):
        raise _malformed("a frame's headers are malformed")
    return found


def _malformed(what: str) -> UpstreamError:
    return UpstreamError("platform-protocol-error", what)
