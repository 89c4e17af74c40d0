"""Decode payload parts from the client, and encode parts and exceptions for it. Pure.

Source: the model of `InvokeEndpointWithBidirectionalStream` in the AWS SDK.
"""

import json
from dataclasses import dataclass, field
from typing import Literal

from deploy.local.sagemaker.eventstream import (
    EventStreamError,
    EventStreamParser,
    decode,
    encode,
    encode_headers,
)
from deploy.local.sagemaker.sigv4 import EventChain

MODEL_STREAM_ERROR = "ModelStreamError"
INTERNAL_STREAM_FAILURE = "InternalStreamFailure"


@dataclass(frozen=True, slots=True)
class PayloadPart:
    """One part of a message. A message without PARTIAL parts has one part: a WebSocket frame."""

    data: bytes = field(repr=False)
    is_text: bool
    is_last: bool


class SignedParts:
    """Parses the parts of a request's body and verifies the signature of each."""

    def __init__(self, chain: EventChain) -> None:
        self._parser = EventStreamParser()
        self._chain = chain
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the body."""
        self._parser.feed(data)

    def next_part(self, now_s: float) -> PayloadPart | None:
        """Return the next complete part, or None if more bytes are needed.

        Raises:
            EventStreamError: the bytes are malformed.
            SignatureError: an event's signature does not continue the chain.
        """
        event = self._parser.next_event()
        if event is None:
            return None
        self._chain.verify(event, now_s)
        if self._ended:
            raise EventStreamError("an event follows the last one")
        if event.payload:
            return _decode_part(event.payload)
        self._ended = True
        return self.next_part(now_s)  # raises if another event follows

    def finish(self) -> None:
        """Check that the body is complete: its last event is signed and empty.

        Raises:
            EventStreamError: the body was cut short.
        """
        self._parser.finish()
        if not self._ended:
            raise EventStreamError("the stream ended without its signed end")


def _decode_part(payload: bytes) -> PayloadPart:
    inner = decode(payload)
    if inner.headers.get(":event-type") != "PayloadPart":
        raise EventStreamError("a signed event is not a PayloadPart")
    return PayloadPart(
        inner.payload,
        is_text=inner.headers.get("DataType") == "UTF8",
        is_last=inner.headers.get("CompletionState") != "PARTIAL",
    )


def _part_headers(data_type: Literal["UTF8", "BINARY"]) -> bytes:
    return encode_headers(
        {
            ":message-type": "event",
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
            "DataType": data_type,
            "CompletionState": "COMPLETE",
        }
    )


_TEXT_HEADERS = _part_headers("UTF8")
_BINARY_HEADERS = _part_headers("BINARY")


def encode_reply(data: bytes, *, is_text: bool) -> bytes:
    """Encode one message of the container as one part."""
    return encode(_TEXT_HEADERS if is_text else _BINARY_HEADERS, data)


def encode_exception(error: str, message: str, code: str) -> bytes:
    """Encode an exception that the client's SDK raises.

    Errors that are part of the operation's model are encoded as an `exception`. All others are
    encoded as the event stream's unmodeled `error`, because an SDK cannot build an exception of an
    unknown type.
    """
    if error not in (MODEL_STREAM_ERROR, INTERNAL_STREAM_FAILURE):
        return encode(
            encode_headers(
                {":message-type": "error", ":error-code": error, ":error-message": message}
            ),
            b"",
        )
    body = {"Message": message} | ({"ErrorCode": code} if code else {})
    return encode(
        encode_headers(
            {
                ":message-type": "exception",
                ":exception-type": error,
                ":content-type": "application/json",
            }
        ),
        json.dumps(body).encode(),
    )
