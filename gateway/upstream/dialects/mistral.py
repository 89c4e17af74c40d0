"""Mistral's hosted realtime transcription. Pure.

    client                    session.update          append ... append . flush . end
    server  session.created ................. updated . delta . segment ........... delta . done

Deltas are text without times, in the order of the audio; nothing is sent for silence. What makes
them final, and the audio answered:

- `transcription.segment`, if it has times: its text, which the deltas before it contain.
- Otherwise `turn.end`, which the server sends if it can detect turns: all text before it.
- Otherwise a pause that the gateway detects (`cut`): a long one if the server may send those.
- In any case, text that is long past (`_LONGEST_MS`).

Until then the position of a delta is an estimate: its last word ended one delay before it arrived.
The settings are frozen by the first audio, so it is sent after `session.updated`.

Source: mistralai 3.7.0 for Python, `extra/realtime` and `client/models`; docs.mistral.ai.
"""

import zlib
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec
import pybase64

from common.settings import SettingsError
from gateway.audio.encodings import G711, Encoding
from gateway.audio.resampler import server_resampler
from gateway.errors import UpstreamError
from gateway.upstream.dialects import mistral_messages as messages
from gateway.upstream.dialects.dialect import (
    Address,
    Answer,
    Capabilities,
    Clock,
    Done,
    Event,
    Options,
    Ready,
    Send,
    Speech,
)
from gateway.upstream.dialects.languages import language_code
from gateway.upstream.dialects.pending_text import PendingText

_PATH: Final = "/v1/audio/transcriptions/realtime"
_BYTES_PER_MS: Final = 32
_FORMATS: Final = {
    Encoding.PCMU: {"encoding": "pcm_mulaw", "sample_rate": 8000},
    Encoding.PCMA: {"encoding": "pcm_alaw", "sample_rate": 8000},
    Encoding.L16LE: {"encoding": "pcm_s16le", "sample_rate": 16_000},
}
_USUAL_DELAY_MS: Final = 480
_LONGEST_DELAY_MS: Final = 2400
_DELAYS_MS: Final = range(80, 1201)  # and the longest
_LONGEST_WAIT_MS: Final = 8000  # silence after which no segment or end of a turn is expected
_CUT_EVERY_MS: Final = 1000  # how often `cut` is called; in a hold no audio shows the time
_TRAVEL_MS: Final = 80  # audio sent while a delta is on its way
# Text that is not final is made final beyond this length, except for its second half.
_LONGEST_MS: Final = 20_000
_LONGEST_SEGMENT_MS: Final = 60_000  # likewise, if the server sends segments
_FLUSH: Final = b'{"type":"input_audio.flush"}'
_END: Final = b'{"type":"input_audio.end"}'
_APPEND_HEAD: Final = b'{"type":"input_audio.append","audio":"'
_APPEND_TAIL: Final = b'"}'


class Mistral:
    """The dialect."""

    capabilities: Final = Capabilities(
        language=True,
        keywords=True,
        delay=True,
        encodings=G711,
        clock=Clock.SPEECH,
        delay_ms=_LONGEST_DELAY_MS + 600,  # and what the network adds
        largest_append_bytes=262_144,
    )

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return the path, the model in the query, and the key as a bearer token.

        Raises:
            SettingsError: the server has no such delay.
        """
        delay_ms = options.delay_ms
        if delay_ms not in (None, _LONGEST_DELAY_MS) and delay_ms not in _DELAYS_MS:
            raise SettingsError("Mistral's delay must be 80 to 1200 ms, or 2400 ms")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        return Address(_PATH, urlencode({"model": options.model}), headers)

    def session(self, options: Options) -> "MistralSession":
        """Return the state of a new session."""
        return MistralSession(options)


class MistralSession:
    """The text of one session that is not final, and how much audio is answered."""

    accepts_audio: Final = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._delay_ms = options.delay_ms or _USUAL_DELAY_MS
        self._is_created = False
        self._is_ready = False
        self._is_finishing = False
        self._encoding = options.encoding
        self._resampler = server_resampler(options.encoding)
        self._wants_turns = True
        self._has_segments = False  # with times
        self._has_turns = False
        self._sent_bytes = 0  # as received from the gateway
        self._answered_ms = 0
        self._known_ms = 0  # audio before this time has final text that is of no segment
        self._turn_ms = 0  # start of the newest turn
        self._language: str | None = None  # of the newest text
        self._pending = PendingText()
        self._cuts = 0  # since the newest text
        self._characters = 0  # of all deltas
        self._checksum = 0  # likewise

    @property
    def _sent_ms(self) -> int:
        return self._sent_bytes // _BYTES_PER_MS

    def open(self) -> Iterable[Event]:
        """Do nothing: the server speaks first."""
        return ()

    def append(self, pcm: bytes) -> bytes:
        """Encode audio."""
        self._sent_bytes += len(pcm)
        audio = self._resampler.process(pcm)
        return b"".join((_APPEND_HEAD, pybase64.b64encode(audio), _APPEND_TAIL))

    def cut(self, speech: Speech) -> Iterable[Event]:
        """Make text final that the server does not: its speech is over."""
        self._cuts += 1
        waited_ms = max(self._sent_ms - self._pending.end_ms, self._cuts * _CUT_EVERY_MS)
        is_expected = self._has_segments or self._has_turns
        if is_expected and waited_ms < _LONGEST_WAIT_MS:
            return ()
        return self._end_turn(speech.end_ms, speech.start_ms, is_assumed=True)

    def keep_alive(self) -> Iterable[Event]:
        """Do nothing: no limit for idle sessions is documented."""
        return ()

    def finish(self) -> Iterable[Event]:
        """End the audio."""
        self._is_finishing = True
        return (Send((_FLUSH, _END)),)

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        match messages.decode(message):
            case messages.Delta() as delta:
                return self._add(delta.text)
            case messages.Language(language):
                self._language = language_code(language)
            case messages.Segment() as segment:
                return self._end_segment(segment)
            case messages.TurnStart() as turn:
                self._turn_ms = self._ms(turn.time_s)
            case messages.TurnEnd() as turn if not self._has_segments:
                return self._end_turn(self._ms(turn.time_s), self._turn_ms)
            case messages.Created() if not self._is_created:
                self._is_created = True
                return (self._update(),)
            case messages.Updated(session) if self._is_created and not self._is_ready:
                return self._check(session)
            case messages.Done() as done:
                return self._finish(done)
            case messages.Error(error):
                return self._fail(error.code)
            case _:
                pass
        return ()

    # The handshake

    def _update(self) -> Send:
        options = self._options
        session: dict[str, object] = {
            "audio_format": _FORMATS[self._encoding],
            "target_streaming_delay_ms": self._delay_ms,
        }
        if options.language:
            session["language"] = options.language.partition("-")[0].lower()  # ISO 639-1
        if options.keywords:
            session["context_bias"] = options.keywords
        if self._wants_turns:
            session["turn_detection"] = {}
        return Send((msgspec.json.encode({"type": "session.update", "session": session}),))

    def _check(self, session: messages.Settings) -> Iterable[Event]:
        if msgspec.to_builtins(session.audio_format) != _FORMATS[self._encoding]:
            raise UpstreamError("realtime-protocol-error", "the server uses another audio format")
        self._is_ready = True
        self._has_turns = session.turn_detection is not None
        return (Ready(),)

    def _fail(self, code: int) -> Iterable[Event]:
        """Raise the server's error; but ask for less if it refuses the settings.

        Some models can't detect turns; another server may not accept G.711.
        """
        has_alternative = self._wants_turns or self._encoding in G711
        if not self._is_created or self._is_ready or not has_alternative:
            raise UpstreamError("realtime-error", f"code {code}")
        if not self._wants_turns:
            self._encoding = Encoding.L16LE
            self._resampler = server_resampler(self._encoding)
        self._wants_turns = not self._wants_turns
        return (self._update(),)

    # Text

    def _add(self, text: str) -> Iterable[Event]:
        """Add a delta."""
        if not self._is_ready:
            raise UpstreamError("realtime-protocol-error", "an answer before the audio")
        self._cuts = 0
        self._characters += len(text)
        self._checksum = zlib.crc32(text.encode(), self._checksum)
        return self._extend(text)

    def _extend(self, text: str) -> Iterable[Event]:
        delay_ms = 0 if self._is_finishing else self._delay_ms + _TRAVEL_MS
        if not self._pending.add(text, self._sent_ms - delay_ms, self._answered_ms):
            return ()
        if self._pending.characters > messages.MOST_CHARACTERS:
            raise UpstreamError("realtime-protocol-error", "too much text that is not final")
        longest_ms = _LONGEST_SEGMENT_MS if self._has_segments else _LONGEST_MS
        if self._pending.length_ms <= longest_ms:
            return (self._provisional(),)
        head = self._pending.split(self._pending.end_ms - longest_ms // 2)
        self._known_ms = head.end_ms
        return self._end(head.text, head.start_ms, head.end_ms, is_assumed=True)

    def _provisional(self) -> Answer:
        pending, language = self._pending, self._language
        times = pending.start_ms, pending.end_ms, None
        return Answer(pending.text, *times, replaces=True, language=language)

    def _end(
        self, text: str, start_ms: int, end_ms: int, *, is_assumed: bool = False
    ) -> Iterable[Event]:
        """Make the first text final; what is left stays provisional."""
        self._answered_ms = end_ms
        rest = self._pending.text
        replaces = bool(text or rest)
        yield Answer(
            *(text, start_ms, end_ms, end_ms),
            replaces=replaces,
            ends_segment=not rest,
            provisional=rest,
            language=self._language if replaces else None,
            is_assumed=is_assumed,
        )
        if rest:
            yield self._provisional()

    def _end_segment(self, segment: messages.Segment) -> Iterable[Event]:
        if segment.start is None or segment.end is None:
            return ()  # a pause or the end of a turn makes its text final
        start_ms, end_ms = self._ms(segment.start), self._ms(segment.end)
        self._has_segments = True
        if end_ms <= self._answered_ms and not self._pending.end_of(segment.text):
            return ()  # its text is final already
        is_new = start_ms >= self._known_ms
        text = self._pending.take(segment.text if is_new else self._pending.end_of(segment.text))
        if not text and (self._pending or not is_new):
            return ()  # silence, or its words are final already
        end_ms = max(end_ms, self._answered_ms)
        start_ms = max(min(start_ms, end_ms), self._answered_ms)
        self._pending.begin_after(end_ms)
        return self._end(text, start_ms, end_ms)

    def _end_turn(self, end_ms: int, start_ms: int, *, is_assumed: bool = False) -> Iterable[Event]:
        """Make all text final."""
        pending_ms = self._pending.start_ms, self._pending.end_ms
        text = self._pending.take_all()
        end_ms = min(max(end_ms, self._answered_ms), self._sent_ms)
        if not text:
            return ()
        if not self._answered_ms <= start_ms < end_ms:
            start_ms = pending_ms[0]
        stop_ms = max(self._answered_ms, min(pending_ms[1], end_ms))
        self._answered_ms = self._known_ms = end_ms
        start_ms = min(start_ms, stop_ms)
        answer = Answer(text, start_ms, stop_ms, end_ms, replaces=True, ends_segment=True)
        return (msgspec.structs.replace(answer, language=self._language, is_assumed=is_assumed),)

    def _finish(self, done: messages.Done) -> Iterable[Event]:
        """End the session; add what no delta contained. Whether that is all, the caller decides."""
        if not self._is_finishing:
            return (Done(),)
        is_new = self._language is None
        self._language = self._language or language_code(done.language)
        spoken, rest = done.text[: self._characters], done.text[self._characters :]
        is_whole = not self._has_segments  # else a segment may have had it
        if rest and is_whole and zlib.crc32(spoken.encode()) == self._checksum:
            return (*self._extend(rest), Done())
        if is_new and self._language and self._pending:
            return (self._provisional(), Done())
        return (Done(),)

    def _ms(self, time_s: float) -> int:
        """Convert a time of the server, limited to the audio sent."""
        return round(min(max(0.0, time_s * 1000), self._sent_ms))
