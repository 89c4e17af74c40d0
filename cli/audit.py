"""Proof that every millisecond of a stream's audio is transcribed once or declared missing. Pure.

The scripted engine answers each 80 ms of audio with the CRC-32 of the samples it got, and with
nothing if they are all zero. So the text of an event is a row of checksums, and says which audio
was heard: whatever was cut, replayed or dropped on the way, each checksum must be the one of the
audio at its place on the media clock. What is not at its place is wrong, what is there twice or in
a gap is duplicated, and what is neither text nor gap is unaccounted for.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cli.audit_events import Record, Row, read
from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import AudioChunk, TrackPipeline

CHUNK_MS: Final = 80
_MULAW_BYTES_PER_MS: Final = 8
_PCM_BYTES_PER_MS: Final = 32
_CHUNK_BYTES: Final = CHUNK_MS * _PCM_BYTES_PER_MS
# How audio is cut never changes the output, and longer is faster; but above some 400 ms OpenBLAS
# spreads the product over threads, and waits for them forever if the process forks meanwhile.
_CUT_MS: Final = 320
_RINGING_MS: Final = 3  # the interpolator's, begun
_SILENCE: Final = Encoding.PCMU.silence[0]
_SIGN: Final = 0x80  # G.711 mu-law has two zeros

type Span = tuple[int, int]  # media ms, from and to


@dataclass(frozen=True, slots=True)
class Account:
    """What became of some streams' audio, all tracks.

    Of each millisecond received one thing is true: it is transcribed (or digital silence, in which
    nothing can be said), or lies in a gap, or is unaccounted for. So
    `audio_ms == transcribed_ms + gap_ms + unaccounted_ms`.
    """

    audio_ms: int = 0
    transcribed_ms: int = 0
    gap_ms: int = 0
    unaccounted_ms: int = 0
    duplicated_ms: int = 0  # transcribed twice, or transcribed in a gap
    wrong_ms: int = 0  # text that is no checksum of its place
    shed_deltas: int = 0  # words of finals that no delta has brought: Redis was away for long
    problems: tuple[str, ...] = field(default=())  # with the order, the ends, the contract

    @property
    def whole(self) -> bool:
        """Whether the promise was kept."""
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
    """Make mu-law noise that no other seed gives, so that every checksum is one of a kind."""
    return np.random.default_rng(seed).bytes(_MULAW_BYTES_PER_MS * milliseconds)


def account(
    events: Sequence[Mapping[str, str]], audio: Mapping[str, bytes], *, frame_ms: int = 20
) -> Account:
    """Account for one stream's audio.

    Args:
        events: all of the stream's events, in order, as they are in Redis; of several epochs if
            gateways took the stream over.
        audio: per track the mu-law bytes that the carrier sent, from media time 0 on. What lies
            beyond the end that `stream.ended` gives did not arrive, and is left out. So is, in a
            stream that was lost with its gateway, what comes after a track's last word.
        frame_ms: how long the carrier's frames were. A carrier that vanished may have sent one
            track's last frame and not the other's, and `stream.ended` knows the longer one only.
    """
    record = read(events)
    total = Account(problems=tuple(record.problems))
    for track in record.tracks - audio.keys():
        total += Account(problems=(f"{track}: no such track was sent",))
    for track, mulaw in audio.items():
        may_lack_ms = 0 if len(audio) == 1 or record.reason == "carrier-stopped" else frame_ms
        total += _account_track(record, track, mulaw, may_lack_ms)
    return total


def _account_track(record: Record, track: str, mulaw: bytes, may_lack_ms: int) -> Account:
    length_ms = len(mulaw) // _MULAW_BYTES_PER_MS
    if record.duration_ms is not None:
        length_ms = min(length_ms, record.duration_ms)
    lost = record.gaps(track, carrier=True)
    gaps = record.gaps(track, carrier=False)
    heard = _Heard(mulaw[: length_ms * _MULAW_BYTES_PER_MS], lost, gaps)
    for rows in record.rows(track):
        heard.take(rows)

    received = np.ones(length_ms, np.bool_)
    if may_lack_ms and not np.any(heard.times[-may_lack_ms:]):
        received[-may_lack_ms:] = False
    in_gap = _marked(length_ms, [*lost, *gaps]) > 0
    received |= in_gap
    said = heard.times > 0
    if record.is_lost:  # what its gateway had heard, and not yet told, died with it
        told = np.flatnonzero(said | in_gap)
        received[told[-1] + 1 if told.size else 0 :] = False
    transcribed = (said | ~heard.sounding) & ~in_gap & received
    unaccounted = received & ~in_gap & ~transcribed
    twice = np.maximum(heard.times - 1, 0).sum() + (said & (_marked(length_ms, gaps) > 0)).sum()
    problems = []
    if declared_twice_ms := int((_marked(length_ms, [*lost, *gaps]) > 1).sum()):
        problems.append(f"{track}: {declared_twice_ms} ms declared missing twice")
    superseded = _marked(length_ms, record.superseded(track)) > 0
    if taken_back_ms := int((superseded & (_marked(length_ms, gaps) > 0)).sum()):
        problems.append(f"{track}: {taken_back_ms} ms were published, then declared missing")
    return Account(
        audio_ms=int(received.sum()),
        transcribed_ms=int(transcribed.sum()),
        gap_ms=int((in_gap & received).sum()),
        unaccounted_ms=int(unaccounted.sum()),
        duplicated_ms=int(twice),
        wrong_ms=heard.wrong_ms,
        shed_deltas=sum(row.shed for rows in record.rows(track) for row in rows),
        problems=tuple(problems),
    )


class _Heard:
    """One track's audio, and how often each millisecond of it was transcribed.

    Args:
        mulaw: what the carrier sent.
        lost: what of it never arrived: the model heard silence there.
        gaps: what the model did not hear.
    """

    def __init__(self, mulaw: bytes, lost: Iterable[Span], gaps: Sequence[Span]) -> None:
        received = np.frombuffer(mulaw, np.uint8).copy()
        for from_ms, to_ms in lost:
            received[from_ms * _MULAW_BYTES_PER_MS : to_ms * _MULAW_BYTES_PER_MS] = _SILENCE
        length_ms = len(mulaw) // _MULAW_BYTES_PER_MS
        self.times = np.zeros(length_ms, np.int32)
        self.wrong_ms = 0
        self._mulaw = received.tobytes()
        self._pcm = expected_pcm(self._mulaw)
        self._gaps = sorted(gaps)
        # A sound's ringing alone, after its last sample, need not be transcribed: whoever takes a
        # stream over there does not hear it.
        samples = received.reshape(length_ms, _MULAW_BYTES_PER_MS)
        pcm = np.frombuffer(self._pcm, np.uint8).reshape(length_ms, _PCM_BYTES_PER_MS)
        self.sounding: NDArray[np.bool_] = np.any(samples | _SIGN != _SILENCE, axis=1) & pcm.any(1)

    def take(self, rows: Sequence[Row]) -> None:
        """Check the text of one ownership of the stream."""
        rows = [row for row in rows if row.words]
        last_ms = max((row.end_ms for row in rows), default=0)
        for number, row in enumerate(rows):
            is_first, is_last = number == 0, row.end_ms == last_ms
            tokens = self._place(row, is_first=is_first, is_last=is_last)
            for spans in tokens:
                for from_ms, to_ms in spans:
                    self.times[from_ms:to_ms] += 1
            self.wrong_ms += CHUNK_MS * (len(row.words) - len(tokens))

    def _place(self, row: Row, *, is_first: bool, is_last: bool) -> list[list[Span]]:
        """Find the audio of a row's checksums; of those that are right."""
        placed: list[list[Span]] = []
        for gaps in ((), self._gaps):
            tokens = _tokens(row.start_ms, row.end_ms, gaps)
            if is_last:
                tokens.append([(row.end_ms, row.end_ms)])  # the interpolator's tail may be one more
            found, at = [], 0
            for word in row.words:
                for ahead in range(at, len(tokens)):
                    begins, ends = is_first and ahead == 0, is_last and ahead >= len(tokens) - 2
                    if word in self._checksums(tokens[ahead], begins=begins, ends=ends):
                        found.append(tokens[ahead])
                        at = ahead + 1
                        break
            if len(found) > len(placed):
                placed = found
            if len(placed) == len(row.words):
                break
        return placed

    def _checksums(self, spans: Sequence[Span], *, begins: bool, ends: bool) -> Iterable[str]:
        """What the engine may say of a token: the audio's checksum, and at the ends others."""
        pcm = b"".join(
            self._pcm[from_ms * _PCM_BYTES_PER_MS : to_ms * _PCM_BYTES_PER_MS]
            for from_ms, to_ms in spans
        )
        if pcm:
            yield _checksum(pcm)
        from_ms, to_ms = spans[0][0], spans[-1][1]
        if begins:  # a gateway that took the stream over heard nothing before
            fresh = expected_pcm(self._between(from_ms, to_ms), flush=ends)
            yield _checksum(fresh[: len(pcm)])
            yield _checksum(fresh[:_CHUNK_BYTES])
        if ends:
            before_ms = max(0, to_ms - CHUNK_MS)
            tail = expected_pcm(self._between(before_ms, to_ms), flush=True)
            tail = tail[(to_ms - before_ms) * _PCM_BYTES_PER_MS :]
            yield _checksum((pcm + tail)[:_CHUNK_BYTES])
            for skipped_ms in range(_RINGING_MS):
                yield _checksum(tail[skipped_ms * _PCM_BYTES_PER_MS :])

    def _between(self, from_ms: int, to_ms: int) -> bytes:
        return self._mulaw[from_ms * _MULAW_BYTES_PER_MS : to_ms * _MULAW_BYTES_PER_MS]


def expected_pcm(mulaw: bytes, *, flush: bool = False) -> bytes:
    """What the model hears of a track that arrives whole: PCM16 at 16 kHz.

    Args:
        mulaw: whole milliseconds of it, 8 kHz.
        flush: with the interpolator's tail.
    """
    pipeline = TrackPipeline(TrackFormat("", Encoding.PCMU, 8000), _CUT_MS)
    pieces = pipeline.receive(mulaw, 0, 1) + pipeline.flush()
    pcm = b"".join(piece.pcm for piece in pieces if isinstance(piece, AudioChunk))
    return pcm if flush else pcm[: len(mulaw) // _MULAW_BYTES_PER_MS * _PCM_BYTES_PER_MS]


def _checksum(pcm: bytes) -> str:
    return f"{zlib.crc32(pcm):08x}"


def _tokens(start_ms: int, end_ms: int, gaps: Sequence[Span]) -> list[list[Span]]:
    """Cut a stretch of the media clock into tokens of 80 ms, as if the gaps were not there."""
    tokens: list[list[Span]] = [[]]
    room_ms = CHUNK_MS
    for from_ms, to_ms in _without(start_ms, end_ms, gaps):
        at_ms = from_ms
        while at_ms < to_ms:
            if not room_ms:
                tokens.append([])
                room_ms = CHUNK_MS
            taken_ms = min(room_ms, to_ms - at_ms)
            tokens[-1].append((at_ms, at_ms + taken_ms))
            at_ms += taken_ms
            room_ms -= taken_ms
    return tokens if tokens[0] else [[(end_ms, end_ms)]]


def _without(start_ms: int, end_ms: int, gaps: Iterable[Span]) -> Iterable[Span]:
    """Cut the gaps, which are in order, out of a stretch."""
    for from_ms, to_ms in gaps:
        if start_ms < min(from_ms, end_ms):
            yield start_ms, min(from_ms, end_ms)
        start_ms = max(start_ms, to_ms)
    if start_ms < end_ms:
        yield start_ms, end_ms


def _marked(length_ms: int, spans: Iterable[Span]) -> NDArray[np.int32]:
    times = np.zeros(length_ms, np.int32)
    for from_ms, to_ms in spans:
        times[from_ms:to_ms] += 1
    return times
