"""Finds the audio of each checksum in a transcript. Pure.

See `audit.py`. The expected audio is computed by `cli.reference_audio`, which shares no code with
the gateway.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from cli import reference_audio
from cli.audit_events import Row, Span

CHUNK_MS: Final = 80
_MULAW_BYTES_PER_MS: Final = 8
_PCM_BYTES_PER_MS: Final = 32
_CHUNK_BYTES: Final = CHUNK_MS * _PCM_BYTES_PER_MS
_MULAW_RATE_HZ: Final = 8000
_TAIL_MS: Final = 3  # of the interpolator: 46 samples at 16 kHz, rounded up
# OpenAI's dialect pads shorter turns with silence.
_SHORTEST_ITEM_BYTES: Final = 100 * _PCM_BYTES_PER_MS
_WHOLE_WORDS: Final = 6  # of `_checksums`: with or without the tail, of three servers
_GRID_MS: Final = 20  # most sessions' audio begins at a multiple of this
_SILENCE: Final = 0xFF  # the positive zero of G.711 mu-law
_SIGN: Final = 0x80  # the negative zero differs in this bit

type _Index = dict[str, list[list[Span]]]  # the spans of audio of each checksum


class TrackCoverage:
    """How often each millisecond of one track was transcribed.

    Args:
        mulaw: audio that the carrier sent.
        lost: spans that never arrived; the gateway sends silence to the model in their place.
        gaps: spans that were not sent to the model.
        slack_ms: as in `account`.

    Attributes:
        times: for each millisecond, how many texts cover it.
        wrong_ms: text that matches no audio at its position, 80 ms for each checksum.
        sounding: for each millisecond, whether it must be transcribed.
    """

    def __init__(
        self, mulaw: bytes, lost: Iterable[Span], gaps: Sequence[Span], slack_ms: int | None
    ) -> None:
        received = np.frombuffer(mulaw, np.uint8).copy()
        for from_ms, to_ms in lost:
            received[from_ms * _MULAW_BYTES_PER_MS : to_ms * _MULAW_BYTES_PER_MS] = _SILENCE
        length_ms = len(mulaw) // _MULAW_BYTES_PER_MS
        self.times = np.zeros(length_ms, np.int32)
        self.wrong_ms = 0
        self._mulaw = received.tobytes()
        self._pcm = expected_pcm(self._mulaw)
        self._gaps = sorted(gaps)
        self._slack_ms = slack_ms
        # For each time on the media clock, how much audio before it is not in a gap.
        self._heard_ms = np.cumsum(marked(length_ms + 1, [*lost, *gaps]) == 0)
        # By the step of the search; None: tokens with padding.
        self._indexes: dict[int | None, _Index] = {}
        # Milliseconds that contain only the filter's tail after the last sound need no text: a
        # gateway that takes the stream over there starts with a fresh filter, which has no tail.
        samples = received.reshape(length_ms, _MULAW_BYTES_PER_MS)
        pcm = np.frombuffer(self._pcm, np.uint8).reshape(length_ms, _PCM_BYTES_PER_MS)
        self.sounding: NDArray[np.bool_] = np.any(samples | _SIGN != _SILENCE, axis=1) & pcm.any(1)

    def count(self, rows: Sequence[Row]) -> None:
        """Count the text that one gateway wrote."""
        rows = [row for row in rows if row.words]
        last_ms = max((row.end_ms for row in rows), default=0)
        for number, row in enumerate(rows):
            is_first, is_last = number == 0, row.end_ms == last_ms
            if self._slack_ms is None:
                tokens = self._match(row, is_first=is_first, is_last=is_last)
            else:
                tokens = self._search(row, self._slack_ms)
            for spans in tokens:
                for from_ms, to_ms in spans:
                    self.times[from_ms:to_ms] += 1
            self.wrong_ms += CHUNK_MS * (len(row.words) - len(tokens))

    def _match(self, row: Row, *, is_first: bool, is_last: bool) -> list[list[Span]]:
        """Return the spans of audio of each checksum in a row that matches some audio.

        Text may wrongly cover a gap, and a token may rightly span one. So the row is compared with
        its audio twice, with and without the gaps' audio, and the better match is returned.
        """
        best: list[list[Span]] = []
        for gaps in ((), self._gaps):
            tokens = _tokens(row.start_ms, row.end_ms, gaps)
            # The filter's tail may be a token: it is in a turn, but after the turn's speech.
            tokens.append([(row.end_ms, row.end_ms)])
            tails = 2 if is_last else 1
            found, at = [], 0
            for word in row.words:
                for ahead in range(at, len(tokens)):
                    begins, ends = is_first and ahead == 0, ahead >= len(tokens) - tails
                    if word in self._checksums(tokens[ahead], begins=begins, ends=ends):
                        found.append(tokens[ahead])
                        at = ahead + 1
                        break
            if len(found) > len(best):
                best = found
            if len(best) == len(row.words):
                break
        return best

    def _search(self, row: Row, slack_ms: int) -> list[list[Span]]:
        """Return the spans of audio of each checksum in a row, whose position is an estimate."""
        found: list[list[Span]] = []
        at_ms = self._shifted(row.start_ms, -slack_ms)
        last_ms = self._shifted(row.end_ms, slack_ms)
        for word in row.words:
            for token in self._find(word):
                if at_ms <= token[0][0] and token[-1][1] <= last_ms:
                    found.append(token)
                    at_ms = token[-1][1]
                    break
        return found

    def _shifted(self, at_ms: int, by_ms: int) -> int:
        """Return the time that is this much audio, without gaps, before or after another."""
        heard_ms = self._heard_ms[min(at_ms, len(self._heard_ms) - 1)] + by_ms
        side: Literal["left", "right"] = "left" if by_ms < 0 else "right"
        return int(np.searchsorted(self._heard_ms, heard_ms, side))

    def _find(self, word: str) -> list[list[Span]]:
        """Return the spans of audio that have a checksum; search unlikely ones only if needed."""
        for step_ms in (_GRID_MS, 1, None):
            if step_ms not in self._indexes:
                made = self._index_padded() if step_ms is None else self._index(step_ms)
                self._indexes[step_ms] = made
            if tokens := self._indexes[step_ms].get(word):
                return tokens
        return []

    def _index_padded(self) -> _Index:
        """Return all tokens of less audio, with padding between two chunks, or without any."""
        index: _Index = {}
        pcm, length_ms = self._pcm, len(self.times)
        for border_ms in range(0, length_ms + 1, _GRID_MS):
            at = border_ms * _PCM_BYTES_PER_MS
            for part_ms in range(1, CHUNK_MS):
                size = part_ms * _PCM_BYTES_PER_MS
                before = pcm[max(0, at - size) : at].ljust(_CHUNK_BYTES, b"\0")
                after = pcm[at : at + size].rjust(_CHUNK_BYTES, b"\0")
                end_ms = min(border_ms + part_ms, length_ms)
                part = before[: min(at, size)]
                for word in (*_words(before), *_words(part)):
                    spans = [(max(0, border_ms - part_ms), border_ms)]
                    index.setdefault(word, []).append(spans)
                for word in _words(after):
                    index.setdefault(word, []).append([(border_ms, end_ms)])
        return index

    def _index(self, step_ms: int) -> _Index:
        """Return all tokens by their checksums, with and without the gaps' audio."""
        index: _Index = {}
        length_ms = len(self.times)
        for gaps in ((), self._gaps) if self._gaps else ((),):
            for at_ms in range(0, length_ms + 1, step_ms):
                token = _tokens(at_ms, min(at_ms + CHUNK_MS, length_ms), gaps)[0]
                if gaps and _length_ms(token) < CHUNK_MS:
                    token = _tokens(at_ms, length_ms, gaps)[0]
                words = list(self._checksums(token, begins=False, ends=length_ms == token[-1][1]))
                # Only the empty token at the end may consist of the filter's tail.
                for word in words if token[0][0] == length_ms else words[:_WHOLE_WORDS]:
                    index.setdefault(word, []).append(token)
        return index

    def _checksums(self, spans: Sequence[Span], *, begins: bool, ends: bool) -> Iterable[str]:
        """Yield the checksums that are correct for a token; arguments as for `_received`."""
        for pcm in self._received(spans, begins=begins, ends=ends):
            yield from _words(pcm)

    def _received(self, spans: Sequence[Span], *, begins: bool, ends: bool) -> Iterable[bytes]:
        """Yield the audio that a server may have received for a token, as PCM.

        Args:
            spans: the token's audio.
            begins: whether this is the gateway's first token, when its filter may be fresh.
            ends: whether this may be the gateway's last token, which the filter's tail follows.
        """
        pcm = b"".join(
            self._pcm[from_ms * _PCM_BYTES_PER_MS : to_ms * _PCM_BYTES_PER_MS]
            for from_ms, to_ms in spans
        )
        if pcm:
            yield pcm
        from_ms, to_ms = spans[0][0], spans[-1][1]
        if begins:  # a gateway that took the stream over did not receive the audio before
            fresh = expected_pcm(self._between(from_ms, to_ms), flush=ends)
            yield fresh[: len(pcm)]
            yield fresh[:_CHUNK_BYTES]
        if ends:
            before_ms = max(0, to_ms - CHUNK_MS)
            tail = expected_pcm(self._between(before_ms, to_ms), flush=True)
            tail = tail[(to_ms - before_ms) * _PCM_BYTES_PER_MS :]
            skipped = (tail[ms * _PCM_BYTES_PER_MS :] for ms in range(_TAIL_MS))
            # Silence that pads the audio of a call on hold comes before the tail.
            for end in ((pcm + tail)[:_CHUNK_BYTES], pcm or tail, *skipped):
                yield end
                yield end.ljust(_CHUNK_BYTES, b"\0")
                yield end.ljust(_SHORTEST_ITEM_BYTES - _CHUNK_BYTES, b"\0")

    def _between(self, from_ms: int, to_ms: int) -> bytes:
        return self._mulaw[from_ms * _MULAW_BYTES_PER_MS : to_ms * _MULAW_BYTES_PER_MS]


def expected_pcm(mulaw: bytes, *, flush: bool = False) -> bytes:
    """Return the audio that the model receives for a track without gaps: PCM16 at 16 kHz.

    Args:
        mulaw: whole milliseconds of audio at 8 kHz.
        flush: whether to include the filter's tail.
    """
    pcm = reference_audio.expected_pcm(mulaw, "pcmu", _MULAW_RATE_HZ)
    return pcm if flush else pcm[: len(mulaw) // _MULAW_BYTES_PER_MS * _PCM_BYTES_PER_MS]


def _length_ms(spans: Iterable[Span]) -> int:
    return sum(to_ms - from_ms for from_ms, to_ms in spans)


def _checksum(pcm: bytes) -> str:
    return f"{zlib.crc32(pcm):08x}"


def _words(pcm: bytes) -> Iterable[str]:
    """Yield the checksums of some audio as servers receive it."""
    for audio in (pcm, g711_pcm(pcm), pcm_of_24_khz(pcm)):
        yield _checksum(audio)


def g711_pcm(pcm: bytes) -> bytes:
    """Return what the checksum engine makes of the G.711 audio of `expected_pcm`, at 16 kHz."""
    return np.repeat(np.frombuffer(pcm, "<i2")[1::2], 2).tobytes()


def pcm_of_24_khz(pcm: bytes) -> bytes:
    """Return likewise what it makes of `expected_pcm` that was resampled to 24 kHz."""
    return np.repeat(np.frombuffer(pcm, "<i2")[::2], 2).tobytes()


def _tokens(start_ms: int, end_ms: int, gaps: Sequence[Span]) -> list[list[Span]]:
    """Cut a span of the media clock into tokens of 80 ms of audio, leaving out the gaps."""
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
    """Yield the parts of a span that are outside the gaps, which must be in order."""
    for from_ms, to_ms in gaps:
        if start_ms < min(from_ms, end_ms):
            yield start_ms, min(from_ms, end_ms)
        start_ms = max(start_ms, to_ms)
    if start_ms < end_ms:
        yield start_ms, end_ms


def marked(length_ms: int, spans: Iterable[Span]) -> NDArray[np.int32]:
    """Return, for each millisecond, how many spans cover it."""
    times = np.zeros(length_ms, np.int32)
    for from_ms, to_ms in spans:
        times[from_ms:to_ms] += 1
    return times
