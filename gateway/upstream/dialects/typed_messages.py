"""Decode JSON messages that have a `type`: known ones, and those of newer servers. Pure."""

from typing import Final, TypeAliasType, get_args

import msgspec

from gateway.errors import UpstreamError

# From msgspec for JSON and types; from Python for UTF-8 and for nesting that is too deep.
DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Typed(msgspec.Struct):
    """The type of any message."""

    type: str


_ANY: Final = msgspec.json.Decoder(_Typed)


class TypedMessages[Message]:
    """The messages of one protocol.

    Args:
        union: the union of all known messages: structs, each with its type as the tag.
        optional: those whose type counts as unknown if their fields are invalid.

    Attributes:
        known: decodes known messages; raises `DECODE_ERRORS` for all others.
    """

    def __init__(
        self, union: TypeAliasType, *, optional: tuple[type[msgspec.Struct], ...] = ()
    ) -> None:
        self.known: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(union.__value__)
        required = set(get_args(union.__value__)) - set(optional)
        self._types = frozenset(each.__struct_config__.tag for each in required)

    def decode(self, message: bytes) -> Message | None:
        """Decode a message; return None if its type is unknown, so that it is to be ignored.

        Raises:
            UpstreamError: as `refuse_malformed`.
        """
        try:
            return self.known.decode(message)
        except DECODE_ERRORS:  # ValidationError is a DecodeError
            pass
        self.refuse_malformed(message)
        return None

    def refuse_malformed(self, message: bytes) -> None:
        """Check a message that can't be decoded as a known one.

        Raises:
            UpstreamError: realtime-protocol-error, if it is not a JSON object with a type, or if
                its type is known, so that its fields are invalid.
        """
        try:
            kind = _ANY.decode(message).type
        except DECODE_ERRORS:
            raise UpstreamError("realtime-protocol-error", "not a typed JSON object") from None
        if kind in self._types:
            raise UpstreamError("realtime-protocol-error", f"malformed {kind}")
