"""The record of a call as JSON, WebVTT, plain text and CSV. Pure.

Positions are milliseconds from the start of the call's first stream. The streams of a call have
clocks of their own, which are placed in time by the start of each stream, so positions of different
streams are comparable only approximately.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from workers.archive.record import CallRecord, Gap, Segment, Stream

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_SPACES: Final = re.compile(r"\s+")
_CSV_COLUMNS: Final = (
    *("call_id", "stream_id", "track", "role", "segment", "rev", "start_ms", "end_ms", "at"),
    *("final", "language", "text"),
)
# Spreadsheets run a cell that begins with one of these as a formula.
_FORMULA: Final = ("=", "+", "-", "@")


class Placed(NamedTuple):
    """A segment or a gap, at its position in the call."""

    from_ms: int
    to_ms: int
    stream: Stream
    item: Segment | Gap


def placed(record: CallRecord) -> list[Placed]:
    """Return the segments and gaps of a call in the order of time, without empty segments."""
    return sorted(_placed(record), key=lambda each: (each.from_ms, each.to_ms))


def _placed(record: CallRecord) -> Iterator[Placed]:
    for stream in record.streams:
        start_ms = _between_ms(record.started, stream.started)
        for segment in stream.segments:
            if segment.text.strip():
                place = start_ms + segment.start_ms, start_ms + segment.end_ms
                yield Placed(*place, stream, segment)
        for gap in stream.gaps:
            yield Placed(start_ms + gap.from_ms, start_ms + gap.to_ms, stream, gap)


def _between_ms(first: datetime | None, second: datetime | None) -> int:
    return round((second - first) / timedelta(milliseconds=1)) if first and second else 0


def to_json(record: CallRecord) -> str:
    """Return `call.json`, with sorted keys and an indent."""
    encoded = msgspec.json.encode(record, order="sorted")
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def to_vtt(record: CallRecord) -> str:
    """Return the transcript as WebVTT, a voice per cue.

    Source: W3C WebVTT, sections 4.1 (blocks), 4.2 (cue text).
    """
    blocks = ["WEBVTT", f"NOTE call {record.call_id}, text {record.text}"]
    for place in placed(record):
        start, end = _clock(place.from_ms), _clock(max(place.to_ms, place.from_ms + 1))
        match place.item:
            case Segment() as segment:
                voice, words = _escaped(segment.speaker), _escaped(segment.text)
                blocks.append(f"{start} --> {end}\n<v {voice}>{words}")
            case Gap() as gap:
                where = _escaped(f"{gap.track} {gap.cause}")
                blocks.append(f"NOTE gap {start} to {end} {where}")
    return "\n\n".join(blocks) + "\n"


def to_txt(record: CallRecord) -> str:
    """Return the transcript as plain text, a line per segment and gap."""
    started = _at(record.started) if record.started else "unknown"
    times = f"started: {started}\nduration: {_clock(record.duration_ms)}"
    head = f"call: {record.call_id}\n{times}\nstatus: {record.status}\ntext: {record.text}\n\n"
    return head + "".join(f"{_text_line(each)}\n" for each in placed(record))


def _text_line(place: Placed) -> str:
    at = _clock(place.from_ms)
    match place.item:
        case Segment() as segment:
            unfinished = "" if segment.final else " (unfinished)"
            return f"[{at}] {_plain(segment.speaker)}: {_plain(segment.text)}{unfinished}"
        case Gap() as gap:
            lasts = (gap.to_ms - gap.from_ms) / 1000
            return f"[{at}] ({_plain(gap.track)}: no transcript for {lasts:.3f} s, {gap.cause})"


def to_csv(record: CallRecord) -> str:
    """Return the segments as CSV (RFC 4180), with a row of names.

    A cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(_CSV_COLUMNS)
    for each in placed(record):
        if isinstance(each.item, Segment):
            writer.writerow([_cell(value) for value in _row(record, each.stream, each.item)])
    return rows.getvalue()


def _row(record: CallRecord, stream: Stream, segment: Segment) -> list[object]:
    said = stream.started and _at(stream.started + timedelta(milliseconds=segment.start_ms))
    who = record.call_id, stream.stream_id, segment.track, segment.role
    where = segment.segment, segment.rev, segment.start_ms, segment.end_ms, said or ""
    is_final = "true" if segment.final else "false"
    return [*who, *where, is_final, segment.language or "", _plain(segment.text)]


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


FORMATS: Final[dict[str, Callable[[CallRecord], str]]] = {
    "json": to_json,
    "vtt": to_vtt,
    "txt": to_txt,
    "csv": to_csv,
}


def _clock(ms: int) -> str:
    """Return a WebVTT timestamp."""
    seconds, ms = divmod(max(0, ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{ms:03d}"


def _at(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(text: str) -> str:
    """Return a text on one line, without control characters."""
    return _SPACES.sub(" ", _CONTROLS.sub(" ", text)).strip()


def _escaped(text: str) -> str:
    """Return cue text: without line ends and `-->`, which end a cue, and without tags."""
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
