"""OpenAI's Realtime transcription sessions, one item per turn. Pure.

    client  session.update . append ... commit  append ............... commit
    server  created updated .  delta .. committed  delta .. completed .. committed .. completed

The gateway ends each turn, and asks for no voice detection. OpenAI's models that show text at once
refuse it, and it reports nothing about audio without voice: lost words would look like silence. If
a server detects voice nevertheless, it ends items by itself, and a turn consists of several. The
turn still ends with the gateway's commit, which the server refuses if no audio is left.

`committed` announces an item: of the oldest turn whose commit is not confirmed. A model that shows
text before that uses the item's id already. `completed` has the whole text, which may differ from
the deltas. Items may be completed in any order; their answers leave in the order of the audio. If
an item fails, its session continues. After any other error it is unknown which audio was lost, so
the session ends and the audio is sent to another one.

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

from collections import deque
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

_BYTES_PER_MS: Final = 32
_FORMATS: Final = {
    Encoding.PCMU: "audio/pcmu",
    Encoding.PCMA: "audio/pcma",
    Encoding.L16LE: "audio/pcm",
}
_SHORTEST_ITEM_MS: Final = 100  # the server refuses to commit less
_MOST_CHARACTERS: Final = 5000  # of one turn; someone who reads fast says 400 in 15 s
_MOST_ITEMS: Final = 64  # of one turn
_MOST_TURNS: Final = 64  # unanswered; no more audio is sent meanwhile
_MOST_CLOSED_IDS: Final = 64  # items whose late messages are ignored
_CONVERSATION: Final = "the session is a conversation: the URL must not select a model"
_FOR_SEVERAL_LANGUAGES: Final = ("gpt-live-transcribe", "gpt-transcribe")


class _Item(msgspec.Struct):
    """A stretch of a turn's audio that the server transcribes."""

    turn: "_Turn"
    item_id: str
    is_announced: bool = False  # by `committed`
    text: str = ""
    language: str | None = None
    is_over: bool = False
    is_missed: bool = False


class _Turn(msgspec.Struct):
    """Audio from the end of the turn before; `speech` is None until it is cut.

    It is one item, or several if the server ends items by itself.
    """

    begin_ms: int
    end_ms: int = 0
    speech: Speech | None = None
    commit_id: str = ""
    is_committed: bool = False  # the server has confirmed or refused the commit
    is_missed: bool = False
    items: list[_Item] = []

    @property
    def is_over(self) -> bool:
        """Whether all of it is answered."""
        return self.is_committed and all(item.is_over for item in self.items)

    @property
    def unannounced(self) -> _Item | None:
        """The item that has text although it is not committed."""
        return next((item for item in self.items if not item.is_announced), None)

    @property
    def language(self) -> str | None:
        """The language that the server detected, of the newest item that has one."""
        return next((item.language for item in reversed(self.items) if item.language), None)

    @property
    def text(self) -> str:
        """Its text, with the space that separates it from the turn before."""
        texts = (item.text.strip() for item in self.items)
        return "".join(f" {text}" for text in texts if text)


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
    """The turns that the server has not answered, in order; only the last one may be open."""

    def __init__(self, options: Options, rate_hz: int, *, is_beta: bool = False) -> None:
        self._options = options
        self._is_beta = is_beta
        self._pcm_hz = rate_hz
        self._use(options.encoding)
        self._is_ready = False
        self._is_conversation = False  # as the server created the session
        self._is_finishing = False
        self._sent_bytes = 0  # as received from the gateway
        self._item_bytes = 0  # of the open turn, as sent
        self._turns: deque[_Turn] = deque()
        self._cuts = 0
        self._items: dict[str, _Item] = {}  # of the turns
        self._detects_voice = False  # the server ends items, too
        self._stopped_id: str | None = None  # of the newest item that it has ended
        self._closed_ids: deque[str] = deque(maxlen=_MOST_CLOSED_IDS)
        self._last_id: str | None = None  # of the newest item that is committed
        self._shown = ""  # provisional text of the first turn, as passed on

    @property
    def accepts_audio(self) -> bool:
        """Whether few enough turns are unanswered."""
        return len(self._turns) < _MOST_TURNS or self._turns[-1].speech is None

    def open(self) -> Iterable[Event]:
        """Do nothing: the server speaks first."""
        return ()

    def append(self, pcm: bytes) -> bytes:
        """Encode audio as the server expects it; b"" if it is too short for a sample."""
        if not self._turns or self._turns[-1].speech:
            self._turns.append(_Turn(self._sent_ms))
        self._sent_bytes += len(pcm)
        return self._append(self._resampler.process(pcm))

    def cut(self, speech: Speech) -> Iterable[Event]:
        """Commit the turn, padded with silence if it is too short for the server."""
        turn = self._turns[-1]
        turn.speech, turn.end_ms = speech, self._sent_ms
        self._cuts += 1
        turn.commit_id = f"turn-{self._cuts}"
        tail = self._resampler.flush()
        shortest_bytes = self._encoding.sample_bytes * self._rate_hz * _SHORTEST_ITEM_MS // 1000
        missing_bytes = shortest_bytes - self._item_bytes - len(tail)
        tail += self._encoding.silence * max(0, missing_bytes)
        commit = {"type": "input_audio_buffer.commit", "event_id": turn.commit_id}
        messages = (self._append(tail), msgspec.json.encode(commit))
        self._item_bytes = 0
        return (Send(tuple(filter(None, messages))),)

    def keep_alive(self) -> Iterable[Event]:
        """Do nothing: a session may be idle."""
        return ()

    def finish(self) -> Iterable[Event]:
        """End at once, or once the last turn is answered."""
        self._is_finishing = True
        return () if self._turns else (Done(),)

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        match events.decode(message):
            case events.Delta(item_id, text):
                return self._add(item_id, text or "")
            case events.SpeechStopped(item_id):
                self._stopped_id = item_id
                return ()
            case events.Committed() as committed:
                return self._commit(committed)
            case events.Completed() as completed:
                language = language_code(completed.detected)
                return self._end(completed.item_id, completed.transcript, language=language)
            case events.Failed(item_id):
                return self._end(item_id, "", is_missed=True)
            case events.Created() as created:
                return self._begin(created)
            case events.Updated(session):
                return self._check(session)
            case events.ErrorReceived() as error:
                return self._handle(error.problem)
            case None:
                return ()

    @property
    def _sent_ms(self) -> int:
        return self._sent_bytes // _BYTES_PER_MS

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
        self._is_conversation = created.session is not None and created.session.is_conversation
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
        self._detects_voice = session.detects_voice
        if self._is_ready:
            return ()
        self._is_ready = True
        return (Ready(),)

    def _handle(self, error: events.Problem) -> Iterable[Event]:
        """Process a refused commit; end the session after any other error."""
        if error.code == events.EMPTY_COMMIT:
            turn = self._first_uncommitted
            if turn and turn.speech and error.event_id in (None, turn.commit_id):
                return self._refuse(turn)
            if self._detects_voice:
                return ()
        if self._is_conversation and not self._is_ready:
            raise UpstreamError("model-mismatch", _CONVERSATION)
        failure = events.as_upstream_error(error, is_ready=self._is_ready)
        is_refused = failure.reason == "validation-error" and not self._is_ready
        if is_refused and self._encoding in G711:
            return self._use_pcm()
        raise failure

    def _refuse(self, turn: _Turn) -> Iterable[Event]:
        """End a turn of which no audio is left: it is missed, unless voice detection had it all."""
        turn.is_committed = True
        turn.is_missed = not (self._detects_voice or turn.items)
        if item := turn.unannounced:
            item.is_over = item.is_missed = True
        return self._answer()

    # Items

    def _commit(self, event: events.Committed) -> Iterable[Event]:
        """Announce an item: that of a commit, unless the server has ended it by itself."""
        turn = self._first_uncommitted
        if turn is None:
            raise UpstreamError("realtime-protocol-error", "an item without audio")
        is_next = event.previous_item_id in (None, "", self._last_id)
        if self._last_id and not (is_next or self._is_beta):
            raise UpstreamError("realtime-protocol-error", "items in another order than the audio")
        self._last_id = event.item_id
        self._announce(turn, event.item_id)
        turn.is_committed = turn.speech is not None and event.item_id != self._stopped_id
        return self._answer()

    def _announce(self, turn: _Turn, item_id: str) -> None:
        """Record that an item is committed, which may have had text under another id."""
        item = turn.unannounced
        if item is None or item.item_id != item_id:
            if (other := self._items.get(item_id)) and not other.is_over:
                raise UpstreamError("realtime-protocol-error", "an item for two turns")
            if item and item.is_over:
                raise UpstreamError("realtime-protocol-error", "an item that was not committed")
            if item:
                self._items.pop(item.item_id, None)
                item.item_id = item_id
                self._items[item_id] = item
            else:
                item = self._new_item(turn, item_id)
        item.is_announced = True

    def _new_item(self, turn: _Turn, item_id: str) -> _Item:
        if len(turn.items) >= _MOST_ITEMS:
            raise UpstreamError("realtime-protocol-error", "a turn has too many items")
        item = self._items[item_id] = _Item(turn, item_id)
        turn.items.append(item)
        return item

    @property
    def _first_uncommitted(self) -> _Turn | None:
        return next((turn for turn in self._turns if not turn.is_committed), None)

    def _find(self, item_id: str) -> _Item | None:
        """Return an item; None if its turn is over. A new one is that of the first turn without."""
        if item := self._items.get(item_id):
            return item
        if item_id in self._closed_ids:
            return None
        waiting = (each for each in self._turns if not (each.is_committed or each.unannounced))
        if turn := next(waiting, None):
            return self._new_item(turn, item_id)
        raise UpstreamError("realtime-protocol-error", "an unknown item")

    def _add(self, item_id: str, text: str) -> Iterable[Event]:
        """Add provisional text."""
        item = self._find(item_id)
        if item is None or item.is_over:
            return ()
        self._set_text(item, item.text + text)
        return self._show()

    def _end(
        self,
        item_id: str,
        transcript: str,
        *,
        language: str | None = None,
        is_missed: bool = False,
    ) -> Iterable[Event]:
        item = self._find(item_id)
        if item is None or item.is_over:
            return ()
        item.is_over, item.is_missed, item.language = True, is_missed, language
        self._set_text(item, transcript)
        return self._answer()

    def _set_text(self, item: _Item, text: str) -> None:
        item.text = text
        if sum(len(each.text) for each in item.turn.items) > _MOST_CHARACTERS:
            raise UpstreamError("realtime-protocol-error", "a turn has too much text")

    def _answer(self) -> Iterable[Event]:
        """Yield the answers of the first turns that are over, then the text of the next one."""
        was_able = self.accepts_audio
        while self._turns and self._turns[0].is_over:
            turn = self._turns.popleft()
            self._shown = ""
            for item in turn.items:
                if self._items.get(item.item_id) is item:
                    del self._items[item.item_id]
                self._closed_ids.append(item.item_id)
            yield _final(turn)
        yield from self._show()
        if not was_able:
            yield Send(())  # so that audio is sent again
        if self._is_finishing and not self._turns:
            yield Done()

    def _show(self) -> Iterable[Event]:
        if not self._turns:
            return ()
        turn = self._turns[0]
        text = turn.text
        if text == self._shown:
            return ()
        self._shown = text
        end_ms = turn.end_ms if turn.speech else self._sent_ms
        return (Answer(text, turn.begin_ms, end_ms, None, replaces=True),)


def _final(turn: _Turn) -> Answer:
    is_missed = turn.is_missed or any(item.is_missed for item in turn.items)
    if is_missed or turn.speech is None:
        begin_ms, end_ms = turn.begin_ms, turn.end_ms
        return Answer("", begin_ms, end_ms, end_ms, replaces=True, is_missed=True)
    return Answer(
        turn.text,
        turn.speech.start_ms,
        turn.speech.end_ms,
        turn.end_ms,
        replaces=True,
        language=turn.language,
    )
