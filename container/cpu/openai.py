"""One connection of OpenAI's Realtime API with `intent=transcription`: its audio as items. Pure.

    audio -> 16 kHz -> (voice detection) -> open item --commit--> committed item -> completed

Items are transcribed one at a time, in order. `committed` is sent at once. A connection needs a
slot while it has an item.

Written from OpenAI's API reference for Realtime, and SGLang's and Speaches' source. Not imitated:
semantic voice detection, noise reduction, log probabilities, conversations. Speaches transcribes
several items at once, and fails one that its voice detection has begun if the client ends it: this
is not imitated, either.
"""

from collections import deque
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from container.cpu.clock import RATE_HZ
from container.cpu.conversion import G711_HZ, Coding, Converter
from container.cpu.generation import Rules
from container.cpu.openai_encoder import BetaEncoder, Encoder
from container.cpu.openai_items import Item
from container.cpu.openai_protocol import (
    Append,
    Clear,
    Commit,
    Format,
    OpenAiServer,
    Pcm,
    Pcma,
    Pcmu,
    Request,
    RequestError,
    ServerVad,
    Update,
    check,
    initial,
    is_of,
    parse,
)
from container.cpu.server_session import (
    BacklogError,
    Close,
    Phase,
    Reply,
    UnsupportedMessageError,
)
from container.cpu.transcriber import Transcription
from container.cpu.voice import Started, Stopped, VoiceDetector

_SHORTEST_ITEM_MS: Final = 100
_LONGEST_SGLANG_ITEM_S: Final = 60
_MOST_ITEMS: Final = 64
_SAMPLES_PER_MS: Final = RATE_HZ // 1000


class OpenAiSession:
    """The protocol state of one client; implements `ServerSession`.

    Args:
        rules: those of all sessions.
        server: which server is imitated.
        session_id: 16 hex digits.
        created_s: seconds since the epoch.
        model: that of the address, which Speaches needs; with OpenAI it makes a conversation.
    """

    idle_s: Final = None

    def __init__(
        self,
        rules: Rules,
        server: OpenAiServer,
        session_id: str = "",
        created_s: int = 0,
        model: str | None = None,
    ) -> None:
        self._rules = rules
        self._server = server
        self._id = session_id
        self._is_beta = server is OpenAiServer.SPEACHES
        of_openai = server in (OpenAiServer.STREAMING, OpenAiServer.ITEMS)
        self._is_conversation = model is not None and of_openai
        self._encoder = self._make_encoder(created_s)
        self._input = initial(server, model or "")
        self._audio = self._converter(Pcm())
        self._samples = 0  # of the session, at 16 kHz
        self._buffered = 0  # of these, since the last commit
        self._counted = 0  # of these, by Speaches, which resamples each message by itself
        self._timed_from_ms = 0  # with Speaches, the last commit
        self._voice = self._detector(self._input.turn_detection) if self._is_beta else None
        self._numbered = 0
        self._open: Item | None = None
        self._items: deque[Item] = deque()  # with the open one at the end

    def _make_encoder(self, created_s: int) -> Encoder | BetaEncoder:
        if self._is_beta:
            return BetaEncoder(self._id)
        return Encoder(
            self._id,
            created_s,
            is_conversation=self._is_conversation,
            reports_languages=self._server is OpenAiServer.ITEMS,  # as gpt-transcribe
        )

    @property
    def phase(self) -> Phase:
        """State of the connection."""
        if not self._items:
            return Phase.IDLE
        item = self._items[0]
        if not item.is_begun:
            return Phase.WAITING
        return Phase.DRAINING if item.is_committed else Phase.RUNNING

    def greet(self) -> list[Reply]:
        """Return `session.created`."""
        return [self._describe("session.created")]

    def receive(self, message: str | bytes) -> list[Reply]:
        """Process one text frame; raises as `ServerSession.receive`."""
        if isinstance(message, bytes):
            raise UnsupportedMessageError
        try:
            replies = self._handle(parse(message, self._server))
        except RequestError as error:
            return [self._encoder.error(error)]
        if sum(item.backlog for item in self._items) > self._rules.max_backlog_s * RATE_HZ:
            raise BacklogError
        return replies

    def begin(self, transcription: Transcription) -> list[Reply]:
        """Transcribe the oldest item."""
        if not self._items:
            transcription.abandon()
            return []
        self._items[0].begin(transcription)
        return self.progress()

    def progress(self) -> list[Reply]:
        """Return the messages that became due since the last call."""
        if not self._items:
            return []
        item, encoder = self._items[0], self._encoder
        is_early = self._server in (OpenAiServer.STREAMING, OpenAiServer.SGLANG)
        if not (is_early or item.is_over):
            return []
        replies = encoder.deltas(item.item_id, item.advance(self._rules.clock))
        if item.is_over:
            self._items.popleft()
            replies += encoder.completed(item.item_id, item.text, item.samples / RATE_HZ)
        return replies

    def fail(self) -> list[Reply]:
        """Fail a committed item whose transcription does not finish."""
        return self._fail(self._items[0]) if self.phase is Phase.DRAINING else []

    def _fail(self, item: Item) -> list[Reply]:
        self._items.remove(item)
        item.abandon()
        return self._encoder.failed(item.item_id)

    def error(self, problem: str) -> str:
        """Encode a failure of the engine."""
        return self._encoder.error(RequestError("server_error", problem), "server_error")

    def expire(self) -> list[Reply]:
        """Return nothing: a client may be idle."""
        return []

    def abandon(self) -> None:
        """Stop all transcriptions; the client has disconnected."""
        for item in self._items:
            item.abandon()
        self._items.clear()

    def _handle(self, request: Request) -> list[Reply]:
        match request:
            case Append():
                return self._append(request)
            case Commit(event_id):
                return self._commit_by_client(event_id)
            case Clear():
                return self._clear()
            case Update():
                self._configure(request)
                return [self._describe("session.updated")]

    # The configuration

    def _describe(self, kind: str) -> str:
        return self._encoder.session(kind, self._input)

    def _configure(self, update: Update) -> None:
        given = update.input
        if self._is_conversation:
            text = "Passing a transcription session update event to a realtime session"
            raise RequestError("invalid_parameter", f"{text} is not allowed.", update.event_id)
        if not self._is_beta:
            check(update, self._server, self._rules.model_name)
        fields = {name: getattr(given, name) for name in given.__struct_fields__}
        kept = {name: value for name, value in fields.items() if value is not UNSET}
        if isinstance(given.turn_detection, ServerVad):
            kept["turn_detection"] = given.turn_detection.effective
        self._input = msgspec.structs.replace(self._input, **kept)
        if given.format:
            self._audio = self._converter(given.format)
        if given.turn_detection is not UNSET or self._voice is None:
            self._voice = self._detector(self._input.turn_detection)

    def _converter(self, form: Format) -> Converter:
        interpolates = self._rules.interpolates
        match form:
            case Pcm(rate_hz):
                return Converter(Coding.LINEAR, rate_hz, interpolates=interpolates)
            case Pcmu():
                return Converter(Coding.MULAW, G711_HZ, interpolates=interpolates)
            case Pcma():
                return Converter(Coding.ALAW, G711_HZ, interpolates=interpolates)

    def _detector(self, vad: ServerVad | UnsetType | None) -> VoiceDetector | None:
        if not isinstance(vad, ServerVad):
            return None
        at_ms = self._samples // _SAMPLES_PER_MS
        return VoiceDetector(vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms, at_ms)

    # The audio

    def _append(self, append: Append) -> list[Reply]:
        if not self._input.transcription:
            raise RequestError("invalid_state", "Select a model first", append.event_id)
        self._counted += len(append.audio) // 2 * 2 // 3
        return self._receive(self._audio.convert(append.audio))

    def _receive(self, pcm: bytes) -> list[Reply]:
        """Process audio, PCM16, 16 kHz."""
        self._samples += len(pcm) // 2
        self._buffered += len(pcm) // 2
        if self._samples > self._encoder.longest_s * RATE_HZ:
            return self._encoder.expired()
        if self._voice is None:
            return self._add(pcm)
        event, replies = self._encoder.event, list[Reply]()
        for step in self._voice.add(pcm):
            match step:
                case Started(at_ms):
                    item_id = self._open_item().item_id
                    kind = "input_audio_buffer.speech_started"
                    start_ms = at_ms - self._timed_from_ms
                    replies.append(event(kind, audio_start_ms=start_ms, item_id=item_id))
                case Stopped(at_ms):
                    item_id = self._open_item().item_id
                    kind = "input_audio_buffer.speech_stopped"
                    end_ms = at_ms - self._timed_from_ms
                    replies.append(event(kind, audio_end_ms=end_ms, item_id=item_id))
                    replies += self._commit()
                case pcm:
                    replies += self._add(pcm)
        return replies

    def _add(self, pcm: bytes) -> list[Reply]:
        if not pcm:
            return []
        item = self._open_item()
        item.append(pcm)
        longest = _LONGEST_SGLANG_ITEM_S * RATE_HZ
        if self._server is OpenAiServer.SGLANG and item.samples > longest:
            text = "More than 60 s of audio without a commit"
            return [self._encoder.error(RequestError("buffer_overflow", text)), Close(1009)]
        return self.progress() if item is self._items[0] else []

    def _open_item(self) -> Item:
        if self._open is None:
            if len(self._items) >= _MOST_ITEMS:
                raise BacklogError
            self._numbered += 1
            self._open = Item(f"item_{self._id}{self._numbered:06d}")
            self._items.append(self._open)
        return self._open

    def _commit_by_client(self, event_id: str | None) -> list[Reply]:
        buffered_ms = (self._buffered + self._audio.pending) / _SAMPLES_PER_MS
        if self._is_beta:
            buffered_ms = self._counted // _SAMPLES_PER_MS
        if buffered_ms < _SHORTEST_ITEM_MS:
            text = "Error committing input audio buffer: buffer too small. Expected at least 100ms"
            text += f" of audio, but buffer only has {buffered_ms:.2f}ms of audio."
            raise RequestError("input_audio_buffer_commit_empty", text, event_id)
        replies = self._receive(self._audio.flush())
        if self._voice:
            replies += self._add(self._voice.end())
        return [*replies, *self._commit()]

    def _commit(self) -> list[Reply]:
        item = self._open_item()
        item.commit()
        self._open, self._buffered, self._counted = None, 0, 0
        replies = self._encoder.committed(item.item_id)
        if self._is_beta:
            self._timed_from_ms = self._samples // _SAMPLES_PER_MS
            if not is_of(self._input, self._rules.model_name):
                return replies + self._fail(item)
        return [*replies, *(self.progress() if item is self._items[0] else ())]

    def _clear(self) -> list[Reply]:
        if self._open:
            self._open.abandon()
            self._items.remove(self._open)
            self._open = None
        if self._voice:
            self._voice.end()
        self._buffered = self._counted = 0
        return [self._encoder.event("input_audio_buffer.cleared")]
