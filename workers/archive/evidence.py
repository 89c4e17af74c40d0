"""A call's events: folded, counted, and compressed as `events.jsonl.gz`. Pure.

Each line is an entry of a stream in Redis:

    {"source": "events", "id": "1795255616265-0", "fields": {"v": "1", "type": "stream.started", …}}

Entries are folded as they are added, so a long call takes little more memory than its text.
"""

import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from workers.archive.folding import CallFold
from workers.archive.record import Text
from workers.client.events import Entry, EventError, read_event

# By text, the streams of a call that are archived, and what follows the call's id in their keys.
SOURCES: Final[dict[Text, dict[str, str]]] = {
    Text.RAW: {
        "events": "",
        "alerts": ":alerts",
        "wrapups": ":wrapups",
        "redacted-wrapups": ":redacted-wrapups",
    },
    Text.REDACTED: {
        "redacted": ":redacted",
        "alerts": ":alerts",
        "redacted-wrapups": ":redacted-wrapups",
    },
}
_GZIP: Final = (
    31  # window bits: a gzip header without name and time, so equal events give equal bytes
)
_CHUNK: Final = 1 << 20  # bytes to decompress at once
_MOST_LINE: Final = 16 << 20  # bytes


class EvidenceError(Exception):
    """The bytes are not `events.jsonl.gz`. The message quotes nothing."""


class Line(msgspec.Struct, frozen=True):
    """One line of the file."""

    source: str
    id: str
    fields: dict[str, str]


class Read(msgspec.Struct):
    """What was read of one stream.

    Attributes:
        entries: number of entries.
        last_id: id of the last one.
    """

    entries: int = 0
    last_id: str = "0"


class Evidence:
    """The entries of a call so far.

    Args:
        call_id: the call.
        text: which text is archived.
    """

    def __init__(self, call_id: str, text: Text) -> None:
        self.fold = CallFold(call_id, text)
        self.read = {source: Read() for source in SOURCES[text]}
        self._text = text
        self._packer = zlib.compressobj(wbits=_GZIP)
        self._packed: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode

    def add(self, source: str, entry: Entry) -> None:
        """Add the next entry of a stream; an entry that is not above the last one is ignored."""
        read = self.read[source]
        if _order(entry.id) <= _order(read.last_id):
            return
        read.last_id = entry.id
        if self._text is Text.REDACTED and entry.fields.get("made_from") == "raw":
            return  # a redacted folder has no word of raw text, whoever wrote it there
        read.entries += 1
        line = Line(source, entry.id, entry.fields)
        self._packed.append(self._packer.compress(self._encode(line) + b"\n"))
        try:
            self.fold.apply(read_event(entry.id, entry.fields))
        except EventError:
            self.fold.malformed += 1

    def pack(self) -> bytes:
        """Return the file; nothing can be added afterwards."""
        self._packed = [b"".join([*self._packed, self._packer.flush()])]
        return self._packed[0]


def lines(packed: bytes) -> Iterator[Line]:
    """Yield the lines of a file.

    Raises:
        EvidenceError: it is damaged.
    """
    decode = msgspec.json.Decoder(Line).decode
    rest = b""
    try:
        for chunk in _unpacked(packed):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MOST_LINE:
                raise EvidenceError("a line is too long")
            for each in whole:
                yield decode(each)
    except (zlib.error, msgspec.DecodeError):
        raise EvidenceError("not the lines of events in gzip") from None
    if rest:
        raise EvidenceError("the last line is cut off")


def _unpacked(packed: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=_GZIP)
    yield unpacker.decompress(packed, _CHUNK)
    while unpacker.unconsumed_tail:
        yield unpacker.decompress(unpacker.unconsumed_tail, _CHUNK)
    yield unpacker.flush()
    if not unpacker.eof:
        raise EvidenceError("the file is cut off")


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)
