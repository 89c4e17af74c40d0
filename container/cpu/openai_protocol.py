"""Parse the messages of a client of OpenAI's Realtime transcription sessions. Pure.

    parse(text, server) -> Update | Append | Commit | Clear     a client's message
    RequestError                                                an invalid message

Written from OpenAI's API reference for Realtime. Unknown parameters of a session are refused. Where
the reference does not name the code of an error, `invalid_value` is used.

Speaches speaks the beta version, in which a session has other parameters. It ignores unknown ones.
"""

from binascii import Error as Base64Error
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
import pybase64
from msgspec import UNSET, UnsetType

_MAX_APPEND_BYTES: Final = 15 * 1024 * 1024
_SGLANG_RATES: Final = (16_000, 24_000, 48_000)


class OpenAiServer(StrEnum):
    """Which server is imitated."""

    STREAMING = "streaming"  # gpt-live-transcribe: text before the commit, no voice detection
    ITEMS = "items"  # gpt-transcribe: text after the commit, voice detection unless it is off
    SGLANG = "sglang"  # other rates, fewer parameters, at most 60 s per item
    SPEACHES = "speaches"  # the beta version: PCM at 24 kHz, no text before an item is complete


class RequestError(Exception):
    """An invalid client message, which gets an `error` reply.

    Args:
        code: OpenAI's error code.
        message: the error text. It may quote the client's message, so it must not be logged.
        event_id: that of the client's message.
    """

    def __init__(self, code: str, message: str, event_id: str | None = None) -> None:
        self.code = code
        self.message = message
        self.event_id = event_id
        super().__init__(code)


class Pcm(msgspec.Struct, frozen=True, tag="audio/pcm", forbid_unknown_fields=True):
    """PCM16 little-endian, mono."""

    rate: int = 24_000


class Pcmu(msgspec.Struct, frozen=True, tag="audio/pcmu", forbid_unknown_fields=True):
    """G.711 mu-law, 8 kHz."""


class Pcma(msgspec.Struct, frozen=True, tag="audio/pcma", forbid_unknown_fields=True):
    """G.711 A-law, 8 kHz."""


type Format = Pcm | Pcmu | Pcma

_Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")]
_Keyword = Annotated[str, msgspec.Meta(min_length=1, pattern="^[^<>\r\n]*$")]


class Transcription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which model transcribes, and its hints."""

    model: str
    language: _Language | UnsetType = UNSET
    languages: Annotated[tuple[_Language, ...], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    keywords: tuple[_Keyword, ...] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET


class NoiseReduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accepted without effect."""

    type: Literal["near_field", "far_field"]
    strength: float = 1.0


class ServerVad(msgspec.Struct, frozen=True, tag="server_vad", forbid_unknown_fields=True):
    """The server's voice detection.

    The last three parameters are for conversations: they have no effect, and are not reported.
    """

    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, msgspec.Meta(ge=20, le=10_000)] = 500
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET
    idle_timeout_ms: int | UnsetType | None = UNSET

    @property
    def effective(self) -> "ServerVad":
        """The parameters that have an effect."""
        return ServerVad(self.threshold, self.prefix_padding_ms, self.silence_duration_ms)


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of the audio; what is left out keeps its value."""

    format: Format | UnsetType = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    turn_detection: ServerVad | UnsetType | None = UNSET


class _Audio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input: Input = Input()


class _Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["transcription"]
    audio: _Audio = _Audio()
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] = ()


class _BetaSession(msgspec.Struct, frozen=True):
    input_audio_format: msgspec.Raw | UnsetType = UNSET
    input_audio_transcription: Transcription | UnsetType = UNSET
    turn_detection: ServerVad | UnsetType | None = UNSET

    @property
    def input(self) -> Input:
        return Input(
            transcription=self.input_audio_transcription, turn_detection=self.turn_detection
        )


class Update(msgspec.Struct, frozen=True):
    """`session.update`."""

    input: Input
    event_id: str | None


class Append(msgspec.Struct, frozen=True, gc=False):
    """`input_audio_buffer.append`: adds audio, which may be empty."""

    audio: bytes
    event_id: str | None

    def __repr__(self) -> str:
        """Return a description without the audio."""
        return f"Append({len(self.audio)} bytes)"


class Commit(msgspec.Struct, frozen=True):
    """`input_audio_buffer.commit`: ends an item."""

    event_id: str | None


class Clear(msgspec.Struct, frozen=True):
    """`input_audio_buffer.clear`: drops audio that is not committed."""


type Request = Update | Append | Commit | Clear


class _Message(msgspec.Struct, gc=False):
    type: str
    event_id: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    audio: str | UnsetType = UNSET
    session: msgspec.Raw | UnsetType = UNSET


_decode: Final = msgspec.json.Decoder(_Message).decode
_decode_session: Final = msgspec.json.Decoder(_Session).decode
_decode_beta: Final = msgspec.json.Decoder(_BetaSession).decode


def parse(text: str, server: OpenAiServer) -> Request:
    """Parse one client message, as a server understands it.

    Raises:
        RequestError: the message is invalid.
    """
    try:
        message = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("invalid_value", f"Invalid message: {error}") from None
    event_id = message.event_id
    match message.type:
        case "input_audio_buffer.append":
            return Append(_audio(message), event_id)
        case "input_audio_buffer.commit":
            return Commit(event_id)
        case "input_audio_buffer.clear":
            return Clear()
        case "session.update":
            return Update(_input(message, is_beta=server is OpenAiServer.SPEACHES), event_id)
        case unknown:
            raise RequestError("invalid_value", f"Invalid value: '{unknown}'", event_id)


def _audio(message: _Message) -> bytes:
    if message.audio is UNSET:
        raise RequestError(
            "missing_required_parameter", "Missing required parameter: 'audio'.", message.event_id
        )
    try:
        audio = pybase64.b64decode(message.audio, validate=True)
    except (Base64Error, ValueError):
        raise RequestError(
            "invalid_value", "Invalid 'audio': not Base64", message.event_id
        ) from None
    if len(audio) > _MAX_APPEND_BYTES:
        raise RequestError("invalid_value", "Invalid 'audio': above 15 MiB", message.event_id)
    return audio


def _input(message: _Message, *, is_beta: bool) -> Input:
    if message.session is UNSET:
        raise RequestError(
            "missing_required_parameter", "Missing required parameter: 'session'.", message.event_id
        )
    try:
        if not is_beta:
            return _decode_session(message.session).audio.input
        session = _decode_beta(message.session)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        code = "unknown_parameter" if "unknown field" in str(error) else "invalid_value"
        raise RequestError(code, f"Invalid 'session': {error}", message.event_id) from None
    if session.input_audio_format is not UNSET:
        raise RequestError("", "Specifying `session.input_audio_format` is not supported.")
    return session.input


def initial(server: OpenAiServer, model: str) -> Input:
    """Return the configuration before a client's; `model` is that of the address."""
    match server:
        case OpenAiServer.ITEMS:
            return Input(Pcm(), None, None, ServerVad())
        case OpenAiServer.SPEACHES:  # the values depend on the release
            return Input(Pcm(), Transcription(model), None, ServerVad(0.6, 300, 350))
        case _:
            return Input(Pcm(), None, None, None)


def is_of(given: Input, model: str) -> bool:
    """Return whether a configuration selects this model."""
    return isinstance(given.transcription, Transcription) and given.transcription.model == model


def check(update: Update, server: OpenAiServer, model: str) -> None:
    """Check whether a server accepts a valid configuration.

    Args:
        update: the configuration.
        server: which server is imitated.
        model: the model that it serves.

    Raises:
        RequestError: it does not.
    """
    given, is_sglang = update.input, server is OpenAiServer.SGLANG
    form = given.format
    if isinstance(form, Pcm):
        if form.rate not in (_SGLANG_RATES if is_sglang else (24_000,)):
            raise RequestError("invalid_value", f"Invalid rate: {form.rate}", update.event_id)
    elif is_sglang and form is not UNSET:
        raise RequestError("not_supported", "Only audio/pcm is supported", update.event_id)
    if is_sglang and given.noise_reduction:
        raise RequestError("not_supported", "noise_reduction is not supported", update.event_id)
    if given.turn_detection and server is not OpenAiServer.ITEMS:
        text = "Turn detection is not supported for this transcription model"
        code = "not_supported" if is_sglang else "invalid_value"
        raise RequestError(code, text, update.event_id)
    if given.transcription:
        _check_model(given.transcription, update.event_id, model, is_sglang=is_sglang)


def _check_model(
    given: Transcription, event_id: str | None, model: str, *, is_sglang: bool
) -> None:
    if given.model != model:
        code = "not_supported" if is_sglang else "model_not_found"
        raise RequestError(code, f"The model `{given.model}` does not exist.", event_id)
    if given.language is not UNSET and given.languages is not UNSET:
        text = "Only one of language and languages can be given"
        raise RequestError("invalid_value", text, event_id)
    hints = (given.prompt, given.keywords, given.languages, given.delay)
    if is_sglang and any(hint is not UNSET for hint in hints):
        raise RequestError("not_supported", "Only language is supported", event_id)
