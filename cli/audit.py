"""Checks that every millisecond of a stream's audio is transcribed once or declared missing. Pure.

The checksum engine transcribes each 80 ms of audio as the CRC-32 of the samples it received, and as
an empty text if they are all zero. So the text of an event is a sequence of checksums, each of
which must match the audio that was sent for its position on the media clock, whatever was cut,
replayed or dropped on the way. A checksum that matches no audio there is wrong. Audio that is
transcribed twice, or transcribed in a gap, is duplicated. Audio that is neither transcribed nor in
a gap is unaccounted for.

A server that gets G.711 as it came receives only every second of these samples: the engine repeats
each. So the checksum of that is correct, too. With a server that gets PCM at 24 kHz, of which every
third sample is one of these, it repeats the others of each two.

`audit_coverage.py` finds the audio of each checksum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cli.audit_coverage import TrackCoverage, marked
from cli.audit_events import Record, read

_MULAW_BYTES_PER_MS: Final = 8


@dataclass(frozen=True, slots=True)
class Account:
    """Sums over all tracks of one or more streams.

    Each millisecond received is exactly one of: transcribed (digital silence counts as transcribed,
    because it has no text), in a gap, or unaccounted for. So
    `audio_ms == transcribed_ms + gap_ms + unaccounted_ms`.
    """

    audio_ms: int = 0
    transcribed_ms: int = 0
    gap_ms: int = 0
    unaccounted_ms: int = 0
    duplicated_ms: int = 0  # transcribed twice, or transcribed in a gap
    wrong_ms: int = 0  # text that is not the checksum of the audio at its position
    shed_deltas: int = 0  # words of finals whose deltas were shed while Redis was unavailable
    problems: tuple[str, ...] = field(default=())  # violations of docs/events.md

    @property
    def whole(self) -> bool:
        """Whether all audio is accounted for and the events follow their contract."""
        lost_ms = self.unaccounted_ms + self.duplicated_ms + self.wrong_ms
        return lost_ms == 0 and not self.problems

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.audio_ms + other.audio_ms,
            self.transcribed_ms + other.transcribed_ms,
            self.gap_ms + other.gap_ms,
            self.unaccounted_ms + other.unaccounted_ms,
            self.duplicated_ms + other.duplicated_ms,
            self.wrong_ms + other.wrong_ms,
            self.shed_deltas + other.shed_deltas,
            self.problems + other.problems,
        )


def noise(seed: int, milliseconds: int) -> bytes:
    """Return mu-law noise that depends on the seed, so that each 80 ms has a unique checksum."""
    return np.random.default_rng(seed).bytes(_MULAW_BYTES_PER_MS * milliseconds)


def account(
    events: Sequence[Mapping[str, str]],
    audio: Mapping[str, bytes],
    *,
    frame_ms: int = 20,
    exact: bool = True,
    slack_ms: int | None = None,
) -> Account:
    """Account for one stream's audio.

    Args:
        events: all events of the stream, in order, as stored in Redis. They have several epochs if
            other gateways took the stream over.
        audio: for each track, the mu-law bytes that the carrier sent, from media time 0 on. Audio
            after the duration in `stream.ended` did not arrive and is not counted. If the stream
            was lost with its gateway, audio after a track's last text or gap is not counted.
        frame_ms: length of the carrier's frames. A carrier that disconnected may have sent the last
            frame of only one track, while `stream.ended` has the duration of the longer one.
        exact: whether each delta must be the text of exactly its audio. If False (a server without
            times), the words of a segment must be those of its audio, in order.
        slack_ms: if not None, the times of segments are estimates, which may be wrong by this much.
            Their words must be those of any audio there, in order. Gaps are not counted, because
            an estimate is one of the audio that was sent.
    """
    record = read(events)
    total = Account(problems=tuple(record.problems))
    for track in record.tracks - audio.keys():
        total += Account(problems=(f"{track}: no such track was sent",))
    for track, mulaw in audio.items():
        may_lack_ms = 0 if len(audio) == 1 or record.reason == "carrier-stopped" else frame_ms
        total += _account_track(record, track, mulaw, may_lack_ms, exact=exact, slack_ms=slack_ms)
    return total


def _account_track(
    record: Record,
    track: str,
    mulaw: bytes,
    may_lack_ms: int,
    *,
    exact: bool,
    slack_ms: int | None,
) -> Account:
    length_ms = len(mulaw) // _MULAW_BYTES_PER_MS
    if record.duration_ms is not None:
        length_ms = min(length_ms, record.duration_ms)
    lost = record.gaps(track, carrier=True)
    gaps = record.gaps(track, carrier=False)
    found = TrackCoverage(mulaw[: length_ms * _MULAW_BYTES_PER_MS], lost, gaps, slack_ms)
    for rows in record.rows(track, exact=exact, estimated=slack_ms is not None):
        found.count(rows)

    received = np.ones(length_ms, np.bool_)
    if may_lack_ms and not np.any(found.times[-may_lack_ms:]):
        received[-may_lack_ms:] = False
    in_gap = marked(length_ms, [*lost, *gaps]) > 0
    received |= in_gap
    has_text = found.times > 0
    if record.is_lost:  # audio that the lost gateway had received but not published
        published = np.flatnonzero(has_text | in_gap)
        received[published[-1] + 1 if published.size else 0 :] = False
    transcribed = (has_text | ~found.sounding) & ~in_gap & received
    unaccounted = received & ~in_gap & ~transcribed
    twice = np.maximum(found.times - 1, 0).sum() + (has_text & (marked(length_ms, gaps) > 0)).sum()
    problems = []
    if declared_twice_ms := int((marked(length_ms, [*lost, *gaps]) > 1).sum()):
        problems.append(f"{track}: {declared_twice_ms} ms declared missing twice")
    superseded = marked(length_ms, record.superseded(track)) > 0
    withdrawn_ms = int((superseded & (marked(length_ms, gaps) > 0)).sum())
    if exact and withdrawn_ms:  # else provisional text may be withdrawn
        problems.append(f"{track}: {withdrawn_ms} ms were published, then declared missing")
    return Account(
        audio_ms=int(received.sum()),
        transcribed_ms=int(transcribed.sum()),
        gap_ms=int((in_gap & received).sum()),
        unaccounted_ms=int(unaccounted.sum()),
        duplicated_ms=int(twice),
        wrong_ms=found.wrong_ms,
        shed_deltas=sum(row.shed for rows in record.rows(track) for row in rows),
        problems=tuple(problems),
    )
