"""Mistral's hosted realtime transcription: one connection of its protocol. Pure.

    IDLE --first audio--> WAITING --begin()--> RUNNING --end--> DRAINING --done--> IDLE, over

Segments and turns (`mistral_text.py`) can be switched off, because it is not documented when the
vendor's server sends segments, and its older model can't detect turns.

What the vendor refuses is refused. Only the error code 3051 is documented; 3000 stands for all
others. Of the vendor's formats the engine accepts `_FORMATS`. It can't distinguish speakers.

Source: mistralai 3.7.0 for Python, `extra/realtime` and `client/models`; docs.mistral.ai.
"""

from binascii import Error as Base64Error
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
import pybase64

from container.cpu.clock import RATE_HZ, TokenClock
from container.cpu.conversion import Coding, Converter
from container.cpu.generation import Rules
from container.cpu.mistral_text import Transcript, encode
from container.cpu.server_session import BacklogError, Phase, UnsupportedMessageError
from container.cpu.transcriber import Transcription

MAX_APPEND_BYTES = 262_144

_FROZEN = 3051
_INVALID = 3000
_FROZEN_TEXT = "Session fields cannot be changed after audio has started."
_DEFAULT_FORMAT = {"encoding": "pcm_s16le", "sample_rate": 16_000}
_FORMATS = {
    ("pcm_s16le", 16_000): Coding.LINEAR,
    ("pcm_mulaw", 8000): Coding.MULAW,
    ("pcm_alaw", 8000): Coding.ALAW,
}

type _Threshold = Annotated[float, msgspec.Meta(ge=0, le=1)]
type _Positive = Annotated[int, msgspec.Meta(ge=1)]
type _Encoding = Literal[
    "pcm_s16le", "pcm_s32le", "pcm_f16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"
]


class _RefusedError(Exception):
    """The client's message gets an `error`."""

    def __init__(self, message: str, code: int = _INVALID) -> None:
        self.message = message
        self.code = code
        super().__init__(code)


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    encoding: _Encoding
    sample_rate: _Positive


class _Turns(msgspec.Struct, forbid_unknown_fields=True):
    start_threshold: _Threshold = 0.5
    eager_end_threshold: _Threshold = 0.5
    end_threshold: _Threshold = 0.33
    min_silence_ms: _Positive = 500
    end_timeout_ms: _Positive | None = None


class _Changes(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `session.update`; absent ones keep their value, null clears them."""

    audio_format: _Format | msgspec.UnsetType | None = msgspec.UNSET
    target_streaming_delay_ms: int | msgspec.UnsetType | None = msgspec.UNSET
    diarize: bool | msgspec.UnsetType | None = msgspec.UNSET
    context_bias: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    language: str | msgspec.UnsetType | None = msgspec.UNSET
    speaker_references: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    turn_detection: _Turns | msgspec.UnsetType | None = msgspec.UNSET


class _Update(msgspec.Struct, tag="session.update"):
    session: _Changes


class _Append(msgspec.Struct, tag="input_audio.append"):
    audio: str


class _Flush(msgspec.Struct, tag="input_audio.flush"):
    pass


class _End(msgspec.Struct, tag="input_audio.end"):
    pass


type _Request = _Update | _Append | _Flush | _End

_DECODER: msgspec.json.Decoder[_Request] = msgspec.json.Decoder(_Update | _Append | _Flush | _End)


@dataclass(frozen=True, slots=True)
class MistralRules:
    """What the server sends beside text."""

    has_segments: bool = True
    has_turns: bool = True


class MistralSession:
    """The protocol state of one client; implements `ServerSession`."""

    idle_s: Final = None

    def __init__(self, rules: Rules, extras: MistralRules, request_id: str = "") -> None:
        self._rules = rules
        self._extras = extras
        self._request_id = request_id
        self._settings: dict[str, Any] = {"audio_format": _DEFAULT_FORMAT}
        self._coding = Coding.LINEAR
        self._audio = Converter(self._coding, RATE_HZ)
        self._queue: deque[bytes] = deque()  # until a slot is free
        self._samples = 0
        self._has_ended = False
        self._is_over = False
        self._transcript: Transcript | None = None

    @property
    def phase(self) -> Phase:
        """State of the connection."""
        if self._is_over or not (self._samples or self._has_ended):
            return Phase.IDLE
        if self._transcript is None:
            return Phase.WAITING
        return Phase.DRAINING if self._has_ended else Phase.RUNNING

    def greet(self) -> list[str]:
        """Return `session.created`."""
        return [self._session_message("session.created")]

    def receive(self, message: str | bytes) -> list[str]:
        """Process one text frame; raises as `ServerSession.receive`."""
        if isinstance(message, bytes):
            raise UnsupportedMessageError
        try:
            return self._handle(message)
        except _RefusedError as refused:
            return [error(refused.code, refused.message)]

    def begin(self, transcription: Transcription) -> list[str]:
        """Start to transcribe, with the queued audio."""
        delay_ms = self._settings.get("target_streaming_delay_ms") or 480
        turns = self._settings.get("turn_detection")
        self._transcript = transcript = Transcript(
            transcription,
            TokenClock(delay_ms),
            language=self._settings.get("language"),
            turn_pause_ms=turns.min_silence_ms if turns else None,
            has_segments=self._extras.has_segments,
        )
        while self._queue:
            transcript.append(self._queue.popleft())
        if self._has_ended:
            transcript.finish()
        return self.progress()

    def progress(self) -> list[str]:
        """Return the messages that became due since the last call."""
        transcript = self._transcript
        if transcript is None or self._is_over:
            return []
        messages = transcript.advance()
        return messages + self._finale(transcript) if transcript.is_complete else messages

    def fail(self) -> list[str]:
        """End a session whose transcription does not finish, with the text so far."""
        transcript = self._transcript
        if transcript is None or self.phase is not Phase.DRAINING:
            return []
        return [error(_INVALID, "The model did not finish in time"), *self._finale(transcript)]

    def error(self, problem: str) -> str:
        """Encode a failure of the engine."""
        return error(_INVALID, problem)

    def expire(self) -> list[str]:
        """Return nothing: a client may be idle."""
        return []

    def abandon(self) -> None:
        """Stop; the client has disconnected."""
        self._is_over = True
        self._queue.clear()
        if self._transcript:
            self._transcript.abandon()

    def _handle(self, text: str) -> list[str]:
        try:
            message = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _RefusedError("Invalid message") from None
        if self._has_ended:
            raise _RefusedError("The audio has ended.")
        match message:
            case _Append(audio):
                return self._append(self._audio.convert(_decoded(audio, self._coding)))
            case _Update(session):
                self._update(session)
                return [self._session_message("session.updated")]
            case _Flush():
                return []
            case _End():
                self._append(self._audio.flush())
                self._has_ended = True
                if self._transcript:
                    self._transcript.finish()
                return self.progress()

    def _append(self, pcm: bytes) -> list[str]:
        self._samples += len(pcm) // 2
        confirmed = 0
        if self._transcript:
            self._transcript.append(pcm)
            confirmed = self._transcript.confirmed
        else:
            self._queue.append(pcm)
        if self._samples - confirmed > self._rules.max_backlog_s * RATE_HZ:
            raise BacklogError
        return self.progress()

    def _update(self, changes: _Changes) -> None:
        if self._samples:
            raise _RefusedError(_FROZEN_TEXT, _FROZEN)
        asked = {name: getattr(changes, name) for name in changes.__struct_fields__}
        settings = self._settings | {
            name: value for name, value in asked.items() if value is not msgspec.UNSET
        }
        settings["audio_format"] = settings["audio_format"] or _DEFAULT_FORMAT
        self._check(settings)
        self._settings = settings
        form = _form(settings)
        self._coding, rate_hz = _FORMATS[form], form[1]
        self._audio = Converter(self._coding, rate_hz, interpolates=self._rules.interpolates)

    def _check(self, settings: dict[str, Any]) -> None:
        """Raise _RefusedError if the vendor, or this engine, does not accept the settings."""
        delay_ms = settings.get("target_streaming_delay_ms")
        if delay_ms is not None and not (80 <= delay_ms <= 1200 or delay_ms == 2400):
            raise _RefusedError("target_streaming_delay_ms must be between 80 and 1200, or 2400")
        has_turns = settings.get("turn_detection") is not None
        if settings.get("diarize"):
            problem = "compatible with turn detection" if has_turns else "supported by this engine"
            raise _RefusedError(f"Diarization is not {problem}")
        if settings.get("speaker_references"):
            raise _RefusedError("Speaker references require diarization")
        if has_turns and not self._extras.has_turns:
            raise _RefusedError("Turn detection is not supported by this model")
        if _form(settings) not in _FORMATS:
            raise _RefusedError("This engine supports only PCM16 at 16 kHz, and G.711 at 8 kHz")

    def _session_message(self, kind: str) -> str:
        settings = self._settings
        references = settings.get("speaker_references")
        session = {
            "request_id": self._request_id,
            "model": self._rules.model_name,
            "target_streaming_delay_ms": None,
            **settings,
            "speaker_references": list(references) if references else None,
        }
        return encode(kind, session=session)

    def _finale(self, transcript: "Transcript") -> list[str]:
        self._is_over = True
        transcript.abandon()
        return transcript.finale(self._rules.model_name, self._samples / RATE_HZ)


def refusal(model: str | None) -> dict[str, str]:
    """Return the body of the HTTP 400 for a model that is unknown, or missing in the query."""
    return {"object": "error", "message": f"Invalid model: {model}", "code": "1500"}


def error(code: int, message: str) -> str:
    """Encode an `error`."""
    return encode("error", error={"message": message, "code": code})


def _form(settings: dict[str, Any]) -> tuple[str, int]:
    form = msgspec.to_builtins(settings["audio_format"])
    return form["encoding"], form["sample_rate"]


def _decoded(audio: str, coding: Coding) -> bytes:
    try:
        data = pybase64.b64decode(audio, validate=True)
    except (Base64Error, ValueError):
        raise _RefusedError("Invalid audio") from None
    if len(data) > MAX_APPEND_BYTES:
        raise _RefusedError(f"Audio must be at most {MAX_APPEND_BYTES} bytes")
    if not data or (coding is Coding.LINEAR and len(data) % 2):
        raise _RefusedError("Invalid audio")
    return data
