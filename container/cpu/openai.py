"""One connection of OpenAI's Realtime API with `intent=transcription`: its audio as items. Pure.

    audio -> 16 kHz -> (voice detection) -> open item --commit--> committed item -> completed

Items are transcribed one at a time, in order. `committed` is sent at once. A connection needs a
slot while it has an item.

Written from OpenAI's API reference for Realtime and SGLang's source. Not imitated: semantic voice
detection, noise reduction, log probabilities, conversations.
"""

from collections import deque
from typing import Final

import msgspec
from msgspec import UNSET

from container.cpu.clock import RATE_HZ
from container.cpu.conversion import G711_HZ, Coding, Converter
from container.cpu.generation import Rules
from container.cpu.openai_items import Item
from container.cpu.openai_protocol import (
    Append,
    Clear,
    Commit,
    Encoder,
    Format,
    Input,
    OpenAiServer,
    Pcm,
    Pcma,
    Pcmu,
    Request,
    RequestError,
    ServerVad,
    Update,
    check,
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

LONGEST_SESSION_S: Final = 3600
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
        is_conversation: whether the address has a model, so that the session is a conversation.
    """

    idle_s: Final = None

    def __init__(
        self,
        rules: Rules,
        server: OpenAiServer,
        session_id: str = "",
        created_s: int = 0,
        *,
        is_conversation: bool = False,
    ) -> None:
        self._rules = rules
        self._server = server
        self._id = session_id
        self._created_s = created_s
        self._is_conversation = is_conversation and server is not OpenAiServer.SGLANG
        self._encoder = Encoder(session_id)
        may_detect = server is OpenAiServer.ITEMS
        self._input = Input(Pcm(), None, None, ServerVad() if may_detect else None)
        self._audio = self._converter(Pcm())
        self._voice: VoiceDetector | None = None
        self._samples = 0  # of the session, at 16 kHz
        self._buffered = 0  # of these, since the last commit
        self._numbered = 0
        self._last_id: str | None = None  # of the newest committed item
        self._open: Item | None = None
        self._items: deque[Item] = deque()  # with the open one at the end

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
            replies = self._handle(parse(message))
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
        is_early = self._server is not OpenAiServer.ITEMS
        if not (is_early or item.is_over):
            return []
        replies: list[Reply] = [
            encoder.item("delta", item.item_id, delta=text)
            for text in item.advance(self._rules.clock)
        ]
        if item.is_over:
            self._items.popleft()
            usage = {"type": "duration", "seconds": item.samples / RATE_HZ}
            fields: dict[str, object] = {"transcript": item.text, "usage": usage}
            if self._server is OpenAiServer.ITEMS:  # gpt-transcribe reports languages
                fields["languages"] = [{"code": "en"}] if item.text else []
            replies.append(encoder.item("completed", item.item_id, **fields))
        return replies

    def fail(self) -> list[Reply]:
        """Fail a committed item whose transcription does not finish."""
        if self.phase is not Phase.DRAINING:
            return []
        item = self._items.popleft()
        item.abandon()
        text = "The model did not finish in time"
        error = {"type": "server_error", "code": "server_error", "message": text, "param": None}
        return [self._encoder.item("failed", item.item_id, error=error)]

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
        return self._encoder.session(
            kind,
            self._input,
            created_s=self._created_s,
            longest_s=LONGEST_SESSION_S,
            is_conversation=self._is_conversation,
        )

    def _configure(self, update: Update) -> None:
        given = update.input
        if self._is_conversation:
            text = "Passing a transcription session update event to a realtime session"
            raise RequestError("invalid_parameter", f"{text} is not allowed.", update.event_id)
        check(update, self._server, self._rules.model_name)
        fields = {name: getattr(given, name) for name in given.__struct_fields__}
        kept = {name: value for name, value in fields.items() if value is not UNSET}
        if isinstance(given.turn_detection, ServerVad):
            kept["turn_detection"] = given.turn_detection.effective
        self._input = msgspec.structs.replace(self._input, **kept)
        if given.format:
            self._audio = self._converter(given.format)
        if given.turn_detection is not UNSET or self._voice is None:
            vad = self._input.turn_detection
            self._voice = self._detector(vad) if isinstance(vad, ServerVad) else None

    def _converter(self, form: Format) -> Converter:
        interpolates = self._rules.interpolates
        match form:
            case Pcm(rate_hz):
                return Converter(Coding.LINEAR, rate_hz)
            case Pcmu():
                return Converter(Coding.MULAW, G711_HZ, interpolates=interpolates)
            case Pcma():
                return Converter(Coding.ALAW, G711_HZ, interpolates=interpolates)

    def _detector(self, vad: ServerVad) -> VoiceDetector:
        at_ms = self._samples // _SAMPLES_PER_MS
        return VoiceDetector(vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms, at_ms)

    # The audio

    def _append(self, append: Append) -> list[Reply]:
        if not self._input.transcription:
            raise RequestError("invalid_state", "Select a model first", append.event_id)
        return self._receive(self._audio.convert(append.audio))

    def _receive(self, pcm: bytes) -> list[Reply]:
        """Process audio, PCM16, 16 kHz."""
        self._samples += len(pcm) // 2
        self._buffered += len(pcm) // 2
        if self._samples > LONGEST_SESSION_S * RATE_HZ:
            return self._expire()
        if self._voice is None:
            return self._add(pcm)
        replies: list[Reply] = []
        for step in self._voice.add(pcm):
            match step:
                case Started(at_ms):
                    item_id = self._open_item().item_id
                    kind = "input_audio_buffer.speech_started"
                    replies.append(self._encoder.event(kind, audio_start_ms=at_ms, item_id=item_id))
                case Stopped(at_ms):
                    item_id = self._open_item().item_id
                    kind = "input_audio_buffer.speech_stopped"
                    replies.append(self._encoder.event(kind, audio_end_ms=at_ms, item_id=item_id))
                    replies += self._commit()
                case pcm:
                    replies += self._add(pcm)
        return replies

    def _expire(self) -> list[Reply]:
        text = "Your session hit the maximum duration of 60 minutes."
        return [self._encoder.error(RequestError("session_expired", text)), Close(1001, text)]

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
        previous_id, self._last_id = self._last_id, item.item_id
        self._open, self._buffered = None, 0
        ids = {"item_id": item.item_id, "previous_item_id": previous_id}
        event = self._encoder.event
        content = [{"type": "input_audio", "transcript": None}]
        kind = {"type": "message", "role": "user", "status": "completed"}
        shown = {"id": item.item_id, "object": "realtime.item", **kind, "content": content}
        replies: list[Reply] = [
            event("input_audio_buffer.committed", **ids),
            event("conversation.item.added", previous_item_id=previous_id, item=shown),
            event("conversation.item.done", previous_item_id=previous_id, item=shown),
        ]
        return [*replies, *(self.progress() if item is self._items[0] else ())]

    def _clear(self) -> list[Reply]:
        if self._open:
            self._open.abandon()
            self._items.remove(self._open)
            self._open = None
        if self._voice:
            self._voice.end()
        self._buffered = 0
        return [self._encoder.event("input_audio_buffer.cleared")]
