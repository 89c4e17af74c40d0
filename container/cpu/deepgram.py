"""One connection of Deepgram's /v1/listen with a Nova model. Pure.

    query    the options (`deepgram_query.py`); an invalid one is refused before the upgrade
    client   audio in binary frames; KeepAlive, Configure, Finalize and CloseStream as JSON text
    server   Results (interim, then final), SpeechStarted, UtteranceEnd, ConfigureSuccess, Error;
             Metadata, Close 1000

The audio is divided into results. A result ends at a pause (`endpointing`), after 4 s, or at
Finalize or CloseStream; before that, an interim result is sent for each second. The last word of an
interim result is a guess that the next one replaces, as words at the tip of the audio are.

Source: deepgram-sdk 7.17, `listen/v1`; Deepgram's documentation. Results for silence, one of 4 s
after another, are what its users' logs show; `answers_silence` turns them off.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from container.cpu.agreement import is_mark
from container.cpu.clock import RATE_HZ, TOKEN_SAMPLES, TokenClock
from container.cpu.conversion import Converter
from container.cpu.deepgram_query import ListenOptions
from container.cpu.server_session import BacklogError, Close, Phase, Reply
from container.cpu.transcriber import Transcription

IDLE_S: Final = 10.0  # without audio or KeepAlive
_RESULT_SAMPLES: Final = 4 * RATE_HZ
_INTERIM_SAMPLES: Final = RATE_HZ
_TIP_SAMPLES: Final = 5120  # 320 ms: a word that ended within them may still grow
_CLOCK: Final = TokenClock()  # when the model may know the words of 80 ms
_MAX_BACKLOG: Final = 1800 * RATE_HZ
_encode: Final = msgspec.json.Encoder().encode


class _Word(NamedTuple):
    text: str
    start: int  # in samples, as `end`
    end: int


class ListenSession:
    """The protocol state of one client; implements `ServerSession`."""

    idle_s: Final = IDLE_S

    def __init__(self, options: ListenOptions, request_id: str = "", created: str = "") -> None:
        self._options = options
        form = options.coding, options.rate_hz
        self._audio = Converter(*form, interpolates=options.interpolates)
        self._request_id = request_id
        self._created = created
        self._digest = hashlib.sha256()
        self._transcription: Transcription | None = None
        self._waiting = False
        self._closing = False
        self._done = False
        self._queue = bytearray()  # audio that no transcription has received
        self._received = 0  # samples that it has
        self._at = 0  # samples whose words are known
        self._from = 0  # where the open result begins
        self._interim_at = 0  # up to which the last result reaches, interim or final
        self._words: list[_Word] = []  # of the open result
        self._spoken_at: int | None = None  # end of the utterance's last word
        self._is_speaking = False  # since the last utterance
        self._finalize_at: int | None = None  # samples at which to answer Finalize

    @property
    def phase(self) -> Phase:
        """State of the connection."""
        if self._done:
            return Phase.IDLE
        if self._transcription is None:
            return Phase.WAITING if self._waiting else Phase.IDLE
        return Phase.DRAINING if self._closing else Phase.RUNNING

    def greet(self) -> Sequence[Reply]:
        """Return nothing: the server waits for audio."""
        return ()

    def receive(self, message: str | bytes) -> Sequence[Reply]:
        """Process one message; raises as `ServerSession.receive`."""
        if self._closing:
            return ()
        if isinstance(message, bytes):
            return self._listen(message) if message else self._close()
        match _type_of(message):
            case "KeepAlive":
                return ()
            case "Finalize":
                self._finalize_at = self._received // TOKEN_SAMPLES * TOKEN_SAMPLES
                return self.progress()
            case "CloseStream":
                return self._close()
            case "Configure" if (keyterms := _keyterms_of(message)) is not None:
                return [self._configure(keyterms)]
            case _:
                self._closing = True
                self._done = self._transcription is None
                return [_error(message), Close(1008, "SchemaError")]

    def begin(self, transcription: Transcription) -> Sequence[Reply]:
        """Start the transcription, with the audio received so far."""
        self._waiting = False
        self._transcription = transcription
        self._pass_on(transcription)
        if self._closing:
            transcription.finish()
        return self.progress()

    def progress(self) -> list[Reply]:
        """Return the results that became due since the last call."""
        transcription = self._transcription
        if transcription is None or self._done:
            return []
        replies: list[Reply] = []
        if self._closing and transcription.finished:
            while self._at < self._received:
                is_last = self._at + TOKEN_SAMPLES >= self._received
                replies += self._advance(transcription.next_text(last=is_last))
            return replies + self._finale()
        confirmed = min(self._received, transcription.confirmed)
        due = _CLOCK.live(confirmed) * TOKEN_SAMPLES
        at = self._finalize_at
        is_finalized = at is not None and confirmed >= at
        if is_finalized:
            due, self._finalize_at = max(due, at or 0), None
        while self._at < due:
            replies += self._advance(transcription.next_text(last=False))
        if is_finalized:
            replies.append(self._final(speech_final=True, from_finalize=True))
        return replies

    def fail(self) -> Sequence[Reply]:
        """End although the transcription does not finish, with the text so far."""
        return self._finale() if self.phase is Phase.DRAINING else ()

    def expire(self) -> Sequence[Reply]:
        """Close the connection, which was idle for too long."""
        return [Close(1011, "NET-0001")]

    def error(self, problem: str) -> str:
        """Encode a failure of the engine."""
        failure = {"variant": "InternalServerError", "description": "an error of the server"}
        return _json({"type": "Error", **failure, "message": problem})

    def abandon(self) -> None:
        """Stop; the client has disconnected."""
        if self._transcription is not None:
            self._transcription.abandon()
        self._waiting = False
        self._done = True

    def _configure(self, keyterms: list[str]) -> str:
        """Accept other keyterms, which change nothing here."""
        reply: dict[str, Any] = {"type": "ConfigureSuccess", "request_id": self._request_id}
        if keyterms and not self._options.model.startswith("nova-3"):
            code = "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
            failure = {"code": code, "description": "only Nova-3 models have keyterms"}
            return _json({**reply, "type": "ConfigureFailure", **failure})
        return _json({**reply, "keyterms": keyterms})

    def _listen(self, audio: bytes) -> Sequence[Reply]:
        self._digest.update(audio)
        self._queue += self._audio.convert(audio)
        if len(self._queue) // 2 + self._received - self._at > _MAX_BACKLOG:
            raise BacklogError
        if self._transcription is None:
            self._waiting = True
            return ()
        self._pass_on(self._transcription)
        return self.progress()

    def _pass_on(self, transcription: Transcription) -> None:
        if self._queue:
            transcription.append(bytes(self._queue))
            self._received += len(self._queue) // 2
            self._queue.clear()

    def _close(self) -> Sequence[Reply]:
        self._closing = True
        self._queue += self._audio.flush()
        if self._transcription is not None:
            self._pass_on(self._transcription)
            self._transcription.finish()
            return self.progress()
        return () if self._waiting else self._finale()

    def _advance(self, text: str) -> list[Reply]:
        """Add the words of the next 80 ms; return what they make due."""
        begin, self._at = self._at, min(self._at + TOKEN_SAMPLES, self._received)
        pieces = self._glue(text)
        for number, piece in enumerate(pieces, 1):
            end = begin + (self._at - begin) * number // len(pieces)
            start = begin if number == 1 else self._words[-1].end
            self._words.append(_Word(piece, start, end))
            self._spoken_at = end
        return self._speech_started() + self._due()

    def _speech_started(self) -> list[Reply]:
        """Return the event for the first word of an utterance."""
        if self._is_speaking or not (self._words and self._options.vad_events):
            return []
        self._is_speaking = True
        event = {"type": "SpeechStarted", "channel": [0, 1]}
        return [_json({**event, "timestamp": self._words[0].start / RATE_HZ})]

    def _glue(self, text: str) -> list[str]:
        """Return the words of a text; a mark at its start belongs to the word before."""
        pieces = text.split()
        if pieces and is_mark(pieces[0]):
            mark = pieces.pop(0)
            if self._words:
                last = self._words[-1]
                self._words[-1] = last._replace(text=last.text + mark)
        return pieces

    def _due(self) -> list[Reply]:
        """Return the result that is due, and the end of the utterance."""
        quiet_ms = self._quiet_ms
        pause_ms = self._options.endpointing_ms
        is_pause = pause_ms is not None and quiet_ms >= max(pause_ms, 1)
        self._is_speaking = self._is_speaking and not is_pause
        replies: list[Reply] = []
        if (self._words and is_pause) or self._at - self._from >= _RESULT_SAMPLES:
            replies += self._unless_silent(self._final(speech_final=is_pause))
        elif self._options.interim_results and self._at - self._interim_at >= _INTERIM_SAMPLES:
            replies += self._unless_silent(self._interim())
        gap_ms = self._options.utterance_end_ms
        if gap_ms and self._spoken_at is not None and not self._words and quiet_ms >= gap_ms:
            event = {"type": "UtteranceEnd", "channel": [0, 1]}
            replies.append(_json({**event, "last_word_end": self._spoken_at / RATE_HZ}))
            self._spoken_at = None
        return replies

    @property
    def _quiet_ms(self) -> int:
        return (self._at - (self._spoken_at or 0)) * 1000 // RATE_HZ

    def _unless_silent(self, result: str) -> list[str]:
        return [result] if self._options.answers_silence or '"words":[]' not in result else []

    def _interim(self) -> str:
        words, self._interim_at = self._words, self._at
        is_guess = self._options.guesses and words and self._at - words[-1].end < _TIP_SAMPLES
        if is_guess:
            guess = words[-1].text
            words = [*words[:-1], words[-1]._replace(text=guess[len(guess) // 2 :])]
        return self._result(words, is_final=False)

    def _final(self, *, speech_final: bool, from_finalize: bool = False) -> str:
        flags = {"speech_final": speech_final, "from_finalize": from_finalize}
        result = self._result(self._words, is_final=True, **flags)
        self._words, self._from, self._interim_at = [], self._at, self._at
        return result

    def _result(self, words: Sequence[_Word], *, is_final: bool, **flags: bool) -> str:
        model = self._options.model
        language = {"language": "en"} if self._options.reports_language else {}
        alternative = {
            "transcript": " ".join(word.text for word in words),
            "confidence": 0.99 if words else 0.0,
            "words": [
                {
                    "word": word.text.strip(".,;:!?").lower(),
                    "start": word.start / RATE_HZ,
                    "end": word.end / RATE_HZ,
                    "confidence": 0.99,
                    "punctuated_word": word.text,
                    **language,
                }
                for word in words
            ],
        }
        return _json(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": (self._at - self._from) / RATE_HZ,
                "start": self._from / RATE_HZ,
                "is_final": is_final,
                "speech_final": False,
                "from_finalize": False,
                **flags,
                "channel": {"alternatives": [alternative]},
                "metadata": {
                    "request_id": self._request_id,
                    "model_info": {"name": model, "version": "2026-01-01.0", "arch": model},
                    "model_uuid": self._request_id,
                },
            }
        )

    def _finale(self) -> list[Reply]:
        """Return the last result, the summary and the end of the connection."""
        self._done = True
        if self._transcription is not None:
            self._transcription.abandon()
        metadata = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": self._digest.hexdigest(),
            "created": self._created,
            "duration": self._at / RATE_HZ,
            "channels": 1,
        }
        results = [self._final(speech_final=True)] if self._at > self._from else []
        return [*results, _json(metadata), Close(1000)]


def _json(message: dict[str, Any]) -> str:
    return _encode(message).decode()


def _error(message: str) -> str:
    error = {"variant": "SchemaError", "description": "could not parse the message"}
    return _json({"type": "Error", **error, "message": message[:1000]})


class _Typed(msgspec.Struct):
    type: str


_decode_type: Final = msgspec.json.Decoder(_Typed).decode


def _type_of(message: str) -> str:
    """Return the type of a message; "" if it has none."""
    try:
        return _decode_type(message).type
    except (msgspec.DecodeError, RecursionError):
        return ""


class _Configure(msgspec.Struct):
    keyterms: list[str] | None = None
    features: dict[str, bool] | None = None


_decode_configure: Final = msgspec.json.Decoder(_Configure).decode


def _keyterms_of(message: str) -> list[str] | None:
    """Return the keyterms of a Configure; None if it is invalid."""
    try:
        return _decode_configure(message).keyterms or []
    except (msgspec.DecodeError, RecursionError):
        return None
