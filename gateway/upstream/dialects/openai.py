"""OpenAI's Realtime transcription sessions, one item per turn. Pure.

    client  .......... session.update .......... append ... commit  append ... commit
    server  created .................. updated ..  the items of the turns (`openai_items.py`)

The gateway ends each turn, and asks for no voice detection. OpenAI's models that show text at once
refuse it, and it reports nothing about audio without voice: lost words would look like silence. A
server may detect voice nevertheless. After any error but that of an item or a commit it is unknown
which audio was lost, so the session ends and the audio is sent to another one.

- OpenAI accepts G.711, and PCM at 24 kHz only. Each turn is resampled on its own. A server of its
  protocol that does not confirm G.711 gets PCM.
- SGLang accepts 16 kHz, up to 60 s per item. If it revises text, it repeats words and never
  withdraws them, so these words are repeated in the transcript as well.
- Speaches speaks the beta version of the API: other parameters, the model also in the query, no
  text before `completed`, and a predecessor of an item that may be an older one.

LocalAI is not supported: its `completed` has another id than its `committed`. Neither are NVIDIA's
NIM and Alibaba's Qwen-ASR, whose events differ.

Sources: OpenAI's API reference for Realtime, `openai` 3.57; SGLang, `srt/entrypoints/openai`;
Speaches, `realtime`.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import msgspec

from gateway.audio.encodings import G711, G711_HZ, Encoding
from gateway.audio.resampler import server_resampler
from gateway.errors import UpstreamError
from gateway.upstream import realtime
from gateway.upstream.dialects import openai_events as events
from gateway.upstream.dialects.dialect import (
    Address,
    Capabilities,
    Clock,
    Event,
    Options,
    Ready,
    Send,
    Speech,
)
from gateway.upstream.dialects.languages import language_code
from gateway.upstream.dialects.openai_items import Items

_FORMATS: Final = {
    Encoding.PCMU: "audio/pcmu",
    Encoding.PCMA: "audio/pcma",
    Encoding.L16LE: "audio/pcm",
}
_SHORTEST_ITEM_MS: Final = 100  # the server refuses to commit less
_CONVERSATION: Final = "the session is a conversation: the URL must not select a model"
_FOR_SEVERAL_LANGUAGES: Final = ("gpt-live-transcribe", "gpt-transcribe")


class OpenAi:
    """The dialect.

    Args:
        rate_hz: rate of the PCM16 audio that the server accepts.
        has_keywords: whether the server accepts keywords.
        has_g711: whether it accepts G.711.
        is_beta: whether it speaks the beta version, as Speaches does.
    """

    def __init__(
        self, *, rate_hz: int, has_keywords: bool, has_g711: bool = False, is_beta: bool = False
    ) -> None:
        self._rate_hz: Final = rate_hz
        self._is_beta: Final = is_beta
        self.capabilities: Final = Capabilities(
            language=True,
            keywords=has_keywords,
            encodings=G711 if has_g711 else frozenset(),
            clock=Clock.TURNS,
            longest_session_s=1800.0 if is_beta else 3600.0,
        )

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return the kind of session, and the key as a bearer token."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        model = f"&model={quote(options.model, safe='')}" if self._is_beta else ""
        return Address(query=f"intent=transcription{model}", headers=headers)

    def session(self, options: Options) -> "OpenAiSession":
        """Return the state of a new session."""
        return OpenAiSession(options, self._rate_hz, is_beta=self._is_beta)


class OpenAiSession:
    """The handshake of one session, its audio, and the items that are made of it."""

    def __init__(self, options: Options, rate_hz: int, *, is_beta: bool = False) -> None:
        self._options = options
        self._is_beta = is_beta
        self._pcm_hz = rate_hz
        self._use(options.encoding)
        self._is_ready = False
        self._is_conversation = False  # as the server created the session
        self._expires_s: float | None = None  # likewise
        self._item_bytes = 0  # of the open turn, as sent
        self._items = Items(is_chained=not is_beta)

    @property
    def accepts_audio(self) -> bool:
        """Whether few enough turns are unanswered."""
        return self._items.is_turn_open or self._items.has_room

    def open(self) -> Iterable[Event]:
        """Do nothing: the server speaks first."""
        return ()

    def append(self, pcm: bytes) -> bytes:
        """Encode audio as the server expects it; b"" if it is too short for a sample."""
        items = self._items
        if not items.is_turn_open:
            items.begin_turn()
        items.sent_bytes += len(pcm)
        return self._append(self._resampler.process(pcm))

    def cut(self, speech: Speech) -> Iterable[Event]:
        """Commit the turn, padded with silence if it is too short for the server."""
        commit_id = self._items.cut(speech)
        tail = self._resampler.flush()
        shortest_bytes = self._encoding.sample_bytes * self._rate_hz * _SHORTEST_ITEM_MS // 1000
        missing_bytes = shortest_bytes - self._item_bytes - len(tail)
        tail += self._encoding.silence * max(0, missing_bytes)
        commit = {"type": "input_audio_buffer.commit", "event_id": commit_id}
        messages = (self._append(tail), msgspec.json.encode(commit))
        self._item_bytes = 0
        return (Send(tuple(filter(None, messages))),)

    def keep_alive(self) -> Iterable[Event]:
        """Do nothing: a session may be idle."""
        return ()

    def finish(self) -> Iterable[Event]:
        """End at once, or once the last turn is answered."""
        return self._items.finish()

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        match events.decode(message):
            case events.Delta(item_id, text):
                return self._items.add(item_id, text or "")
            case events.SpeechStopped(item_id):
                self._items.stop(item_id)
                return ()
            case events.Committed(item_id, previous_id):
                return self._items.commit(item_id, previous_id)
            case events.Completed() as completed:
                language = language_code(completed.detected)
                return self._items.end(completed.item_id, completed.transcript, language=language)
            case events.Failed(item_id):
                return self._items.end(item_id, "", is_missed=True)
            case events.Created() as created:
                return self._begin(created)
            case events.Updated(session):
                return self._check(session)
            case events.ErrorReceived() as error:
                return self._handle(error.problem)
            case None:
                return ()

    def _append(self, audio: bytes) -> bytes:
        self._item_bytes += len(audio)
        return realtime.append(audio) if audio else b""

    # The handshake

    def _begin(self, created: events.Created) -> Iterable[Event]:
        expected = events.BETA if self._is_beta else events.OPENAI
        if created.api not in (None, expected):
            raise UpstreamError("model-mismatch", f"the server's Realtime API is {created.api}")
        if self._is_ready:
            return ()
        if session := created.session:
            self._is_conversation = session.is_conversation
            self._expires_s = session.expires_s
        return (Send((self._update(),)),)

    def _use(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._rate_hz = G711_HZ if encoding in G711 else self._pcm_hz
        self._resampler = server_resampler(encoding, self._pcm_hz)

    def _use_pcm(self) -> Iterable[Event]:
        """Configure the session again, because the server has not confirmed G.711."""
        self._use(Encoding.L16LE)
        return (Send((self._update(),)),)

    def _update(self) -> bytes:
        options = self._options
        transcription: dict[str, object] = {"model": options.model}
        if options.language:
            language = options.language.partition("-")[0].lower()  # ISO 639-1
            if options.model.startswith(_FOR_SEVERAL_LANGUAGES):
                transcription["languages"] = [language]
            else:
                transcription["language"] = language
        if options.keywords:
            transcription["keywords"] = options.keywords
        if self._is_beta:
            session = {"turn_detection": None, "input_audio_transcription": transcription}
            return msgspec.json.encode({"type": "session.update", "session": session})
        form: dict[str, object] = {"type": _FORMATS[self._encoding]}
        if self._encoding not in G711:
            form["rate"] = self._rate_hz
        audio = {
            "format": form,
            "transcription": transcription,
            "turn_detection": None,
        }
        whole = {"type": "transcription", "audio": {"input": audio}}
        return msgspec.json.encode({"type": "session.update", "session": whole})

    def _check(self, session: events.Configuration) -> Iterable[Event]:
        """Compare what the server will do with what was asked."""
        audio = session.input
        if session.is_conversation:
            raise UpstreamError("model-mismatch", _CONVERSATION)
        form = audio.format or events.Format()
        kind = _FORMATS[self._encoding]
        if self._encoding in G711 and form.type != kind and not self._is_ready:
            return self._use_pcm()
        if form.type not in (None, kind) or form.rate not in (None, self._rate_hz):
            raise UpstreamError("validation-error", "the server expects another audio format")
        self._items.detects_voice = session.detects_voice
        if self._is_ready:
            return ()
        self._is_ready = True
        return (Ready(session.expires_s or self._expires_s),)

    def _handle(self, error: events.Problem) -> Iterable[Event]:
        """Process a refused commit; end the session after any other error."""
        if error.code == events.EMPTY_COMMIT:
            answers = self._items.refuse(error.event_id)
            if answers is not None:
                return answers
        if self._is_conversation and not self._is_ready:
            raise UpstreamError("model-mismatch", _CONVERSATION)
        failure = events.as_upstream_error(error, is_ready=self._is_ready)
        is_refused = failure.reason == "validation-error" and not self._is_ready
        if is_refused and self._encoding in G711:
            return self._use_pcm()
        raise failure
