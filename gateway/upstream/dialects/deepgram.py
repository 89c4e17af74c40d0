"""Deepgram's /v1/listen with a Nova model, hosted or on SageMaker. Pure.

    client  audio (binary) . audio ... KeepAlive . Finalize .... CloseStream
    server  Results (interim) . Results (interim) . Results (final) ....... Results . Metadata

All options are in the query. There is no handshake: audio may be sent at once. `Results` covers the
stretch from `start` to `start + duration`, in seconds of the connection's audio. Each interim one
replaces the one before, until a final one for the same stretch; the next begins where that ends.
`Metadata` comes only at the end, and has the length of all audio that the server has processed.

In noise, the server may fail to find the end of an utterance. Then `Finalize` asks for its final
result.

Final results without words were observed to come for silence, too, but Deepgram does not promise
them. So nothing is due for silence (`Clock.SPEECH`).

Source: deepgram-sdk 7.17, `listen/v1`; Deepgram's documentation of endpointing, interim results,
utterance end, KeepAlive and CloseStream.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec

from common.settings import SettingsError
from gateway.audio.encodings import G711, Encoding
from gateway.audio.resampler import server_resampler
from gateway.errors import UpstreamError
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
from gateway.upstream.dialects.typed_messages import TypedMessages

_BYTES_PER_MS: Final = 32
_ENCODINGS: Final = {  # with the rate
    Encoding.PCMU: ("mulaw", "8000"),
    Encoding.PCMA: ("alaw", "8000"),
    Encoding.L16LE: ("linear16", "16000"),
}
_KEEP_ALIVE: Final = b'{"type":"KeepAlive"}'
_FINALIZE: Final = b'{"type":"Finalize"}'
_CLOSE_STREAM: Final = b'{"type":"CloseStream"}'
_MOST_CHARACTERS: Final = 20_000  # of one result; finals come every few seconds
_MOST_AHEAD_MS: Final = 2000  # a result's end beyond the audio: its seconds are rounded
_ROUNDING_MS: Final = 100  # of the length of all audio
_LONGEST_QUERY: Final = 1984  # without the model; SageMaker's limit is 2048 with it
_LEAST_UTTERANCE_END_MS: Final = 1000
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Deepgram:
    """The dialect; `pause_ms` is the length of a pause that ends an utterance."""

    capabilities: Final = Capabilities(
        language=True,
        keywords=True,
        encodings=G711,
        clock=Clock.SPEECH,
        answers_noise=True,
        is_audio_binary=True,
        keep_alive_s=4.0,  # after 10 s without audio the server closes; the vendor says 3 to 5 s
    )

    def __init__(self, pause_ms: int = 1000) -> None:
        self._pause_ms: Final = pause_ms

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return the path, the query, and the key in Deepgram's own scheme.

        Raises:
            SettingsError: the model is not one of Deepgram's, or there are too many keywords.
        """
        if "/" in options.model:
            raise SettingsError(
                "a deepgram endpoint needs a model of Deepgram, such as nova-3: set GATEWAY_MODEL"
            )
        encoding, rate_hz = _ENCODINGS[options.encoding]
        query = urlencode(
            [
                ("model", options.model),
                ("encoding", encoding),
                ("sample_rate", rate_hz),
                ("channels", "1"),
                ("interim_results", "true"),
                ("smart_format", "true"),
                ("endpointing", str(self._pause_ms)),
                # The same by the gaps between words, for lines with noise.
                ("utterance_end_ms", str(max(self._pause_ms, _LEAST_UTTERANCE_END_MS))),
                *([("language", options.language)] if options.language else []),
                *(("keyterm", keyword) for keyword in options.keywords),
            ]
        )
        if len(query) - len(options.model) > _LONGEST_QUERY:
            raise SettingsError(f"the keywords exceed {_LONGEST_QUERY} characters of the query")
        headers = {"Authorization": f"Token {api_key}"} if api_key else {}
        return Address("v1/listen", query, headers)

    def session(self, options: Options) -> "DeepgramSession":
        """Return the state of a new session."""
        return DeepgramSession(options.encoding)


class DeepgramSession:
    """Which audio has been answered, and the newest interim result."""

    accepts_audio: Final = True

    def __init__(self, encoding: Encoding) -> None:
        self._resampler = server_resampler(encoding)
        self._sent_bytes = 0  # as received from the gateway
        self._answered_ms = 0
        self._interim: Answer | None = None  # since the last final result; only with words
        self._is_asked = False  # for its final result
        self._is_first = True  # no message was received
        self._is_closing = False  # what ends now is the session, not an utterance

    def open(self) -> Iterable[Event]:
        """Begin at once: the server says nothing first."""
        return (Ready(),)

    def append(self, pcm: bytes) -> bytes:
        """Return the audio: a binary message of its own."""
        self._sent_bytes += len(pcm)
        return self._resampler.process(pcm)

    def cut(self, speech: Speech) -> Iterable[Event]:
        """Ask for the final result: the server has not found the end of the utterance."""
        return self._finalize()

    def keep_alive(self) -> Iterable[Event]:
        """Send a KeepAlive."""
        return (Send((_KEEP_ALIVE,)),)

    def finish(self) -> Iterable[Event]:
        """Ask for the last results, which `Metadata` follows."""
        self._is_closing = True
        return (Send((_CLOSE_STREAM,)),)

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        is_first, self._is_first = self._is_first, False
        match _decode(message):
            case _Results() as results:
                return self._answer(results)
            case _UtteranceEnd() if self._interim is None:
                at_ms = self._answered_ms
                return (Answer("", at_ms, at_ms, at_ms, ends_segment=True),)
            case _UtteranceEnd():
                return self._finalize()
            case _Metadata(duration) if self._is_closing and self._is_summary(duration, is_first):
                return self._end(duration)
            case _Error() as error:
                known = error.variant if _CODE.fullmatch(error.variant) else "unknown variant"
                raise UpstreamError("realtime-error", known)
            case _:
                return ()

    def _finalize(self) -> Iterable[Event]:
        if self._interim is None or self._is_asked:
            return ()
        self._is_asked = True
        return (Send((_FINALIZE,)),)

    def _answer(self, results: "_Results") -> Iterable[Event]:
        best = results.channel.alternatives[0] if results.channel.alternatives else _Alternative()
        if len(best.transcript) > _MOST_CHARACTERS:
            raise UpstreamError("realtime-protocol-error", "a result has too much text")
        end_ms = self._within(results.start + results.duration)
        if end_ms <= self._answered_ms:
            return ()  # a repetition: this audio is answered
        answer = self._place(best, self._within(results.start), end_ms, is_final=results.is_final)
        if results.is_final:
            self._answered_ms, self._interim, self._is_asked = end_ms, None, False
            ends = results.speech_final and not self._is_closing
            return (msgspec.structs.replace(answer, ends_segment=ends),)
        self._interim = answer if answer.text else None
        return (answer,)

    def _place(self, best: "_Alternative", start_ms: int, end_ms: int, *, is_final: bool) -> Answer:
        """Return the answer for a stretch; its speech is where its words are."""
        until_ms = end_ms if is_final else None
        text, words = " ".join(best.transcript.split()), best.words
        start_ms = min(max(start_ms, self._answered_ms), end_ms)
        if not text:  # an interim result covers no audio of its own
            return Answer("", start_ms if is_final else end_ms, end_ms, until_ms, replaces=True)
        if words:
            first_ms, last_ms = self._within(words[0].start), self._within(words[-1].end)
            start_ms = min(max(first_ms, start_ms), end_ms)
            end_ms = min(max(last_ms, start_ms), end_ms)
        language = language_code(best.detected)
        return Answer(f" {text}", start_ms, end_ms, until_ms, replaces=True, language=language)

    def _is_summary(self, duration: float, is_first: bool) -> bool:
        """Return whether `Metadata` is that of the end: a server may send it at first, too."""
        has_audio = self._sent_bytes > _ROUNDING_MS * _BYTES_PER_MS
        return duration > 0 or not (is_first and has_audio)

    def _end(self, duration: float) -> Iterable[Event]:
        """End the session; all audio that the server has processed is answered."""
        until_ms, sent_ms = self._within(duration), self._sent_bytes // _BYTES_PER_MS
        rounding_ms = min(_ROUNDING_MS, sent_ms // 2)
        if not duration or sent_ms - until_ms <= rounding_ms:  # 0: not reported
            until_ms = sent_ms
        interim, self._interim = self._interim, None
        if interim and interim.end_ms <= until_ms:
            yield msgspec.structs.replace(interim, until_ms=until_ms)
        elif not interim and until_ms > self._answered_ms:
            yield Answer("", self._answered_ms, until_ms, until_ms)
        yield Done()

    def _within(self, seconds: float) -> int:
        """Convert a time to milliseconds, limited to the audio sent.

        Raises:
            UpstreamError: it is far beyond the audio.
        """
        sent_ms = self._sent_bytes // _BYTES_PER_MS
        if not 0 <= seconds <= (sent_ms + _MOST_AHEAD_MS) / 1000:
            raise UpstreamError("realtime-protocol-error", "a time outside the audio")
        return min(round(seconds * 1000), sent_ms)


# Fields that are not used are ignored, as are fields and messages of newer servers.


class _Word(msgspec.Struct, frozen=True, gc=False):
    start: float
    end: float
    language: object = None


class _Alternative(msgspec.Struct, frozen=True):
    transcript: str = ""
    words: tuple[_Word, ...] = ()
    languages: object = None  # the most frequent first; only of a multilingual model

    @property
    def detected(self) -> object:
        """The language of most words, as the server reports it."""
        if isinstance(self.languages, list) and self.languages:
            return self.languages[0]
        found = Counter(word.language for word in self.words if isinstance(word.language, str))
        return max(found, key=found.__getitem__, default=None)

    def __repr__(self) -> str:
        """Describe the alternative without its text."""
        return f"_Alternative({len(self.transcript)} characters)"


class _Channel(msgspec.Struct, frozen=True):
    alternatives: tuple[_Alternative, ...]


class _Results(msgspec.Struct, frozen=True, tag="Results"):
    start: float
    duration: float
    channel: _Channel
    is_final: bool = False
    speech_final: bool = False


class _UtteranceEnd(msgspec.Struct, frozen=True, tag="UtteranceEnd"):
    """A gap after the last word of final results."""


class _Metadata(msgspec.Struct, frozen=True, tag="Metadata"):
    duration: float = 0.0


class _Error(msgspec.Struct, frozen=True, tag="Error"):
    """An error that ends the session. Its description may quote the request, so it is dropped."""

    variant: str = ""


type _Message = _Results | _UtteranceEnd | _Metadata | _Error

_decode: Final = TypedMessages[_Message](_Message).decode
