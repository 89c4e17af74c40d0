"""OpenAI's Realtime transcription sessions, one item per turn. Pure.

    client  session.update . append ... commit  append ............... commit
    server  created updated .  delta .. committed  delta .. completed .. committed .. completed

The gateway ends each turn; the server's voice detection is off. OpenAI's models that show text at
once refuse it, and it reports nothing about audio without voice: lost words would look like
silence.

`committed` announces the item of the oldest turn without one. A model that shows text before the
commit uses the item's id already. `completed` has the whole text, which may differ from the
deltas. Items may be completed in any order; their answers leave in the order of the audio. If an
item fails, its session continues. After any other error it is unknown which audio was lost, so the
session ends and the audio is sent to another one.

- OpenAI accepts G.711, and PCM at 24 kHz only. Each turn is resampled on its own. A server of its
  protocol that does not confirm G.711 gets PCM.
- SGLang accepts 16 kHz, up to 60 s per item. If it revises text, it repeats words and never
  withdraws them, so these words are repeated in the transcript as well.

Speaches and LocalAI are not supported: both expect the older session events or end turns by
themselves. Neither are NVIDIA's NIM and Alibaba's Qwen-ASR, whose events differ.

Sources: OpenAI's API reference for Realtime, `openai` 3.57; SGLang, `srt/entrypoints/openai`.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.audio.encodings import G711, G711_HZ, Encoding
from gateway.audio.resampler import server_resampler
from gateway.errors import UpstreamError
from gateway.upstream import openai_events as events
from gateway.upstream import realtime
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
_MOST_TURNS: Final = 64  # unanswered; no more audio is sent meanwhile
_MOST_CLOSED_IDS: Final = 64  # items whose late messages are ignored
_FOR_SEVERAL_LANGUAGES: Final = ("gpt-live-transcribe", "gpt-transcribe")


class _Turn(msgspec.Struct):
    """Audio from the end of the turn before; `speech` is None until it is cut."""

    begin_ms: int
    end_ms: int = 0
    speech: Speech | None = None
    commit_id: str = ""
    item_id: str | None = None
    is_committed: bool = False
    text: str = ""
    language: str | None = None
    is_over: bool = False
    is_missed: bool = False


class OpenAi:
    """The dialect.

    Args:
        rate_hz: rate of the PCM16 audio that the server accepts.
        has_keywords: whether the server accepts keywords.
        has_g711: whether it accepts G.711.
    """

    def __init__(self, *, rate_hz: int, has_keywords: bool, has_g711: bool) -> None:
        self._rate_hz: Final = rate_hz
        self.capabilities: Final = Capabilities(
            language=True,
            keywords=has_keywords,
            encodings=G711 if has_g711 else frozenset(),
            clock=Clock.TURNS,
            longest_session_s=3600.0,
        )

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return the kind of session, and the key as a bearer token."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        return Address(query="intent=transcription", headers=headers)

    def session(self, options: Options) -> "OpenAiSession":
        """Return the state of a new session."""
        return OpenAiSession(options, self._rate_hz)


class OpenAiSession:
    """The turns that the server has not answered, in order; only the last one may be open."""

    def __init__(self, options: Options, rate_hz: int) -> None:
        self._options = options
        self._pcm_hz = rate_hz
        self._use(options.encoding)
        self._is_ready = False
        self._is_finishing = False
        self._sent_bytes = 0  # as received from the gateway
        self._item_bytes = 0  # of the open turn, as sent
        self._turns: deque[_Turn] = deque()
        self._cuts = 0
        self._by_id: dict[str, _Turn] = {}
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
            case events.Committed() as committed:
                return self._commit(committed)
            case events.Completed() as completed:
                language = language_code(completed.detected)
                return self._end(completed.item_id, completed.transcript, language=language)
            case events.Failed(item_id):
                return self._end(item_id, "", is_missed=True)
            case events.Created():
                return () if self._is_ready else (Send((self._update(),)),)
            case events.Updated(session):
                return self._check(session.input)
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
        form: dict[str, object] = {"type": _FORMATS[self._encoding]}
        if self._encoding not in G711:
            form["rate"] = self._rate_hz
        audio = {
            "format": form,
            "transcription": transcription,
            "turn_detection": None,
        }
        session = {"type": "transcription", "audio": {"input": audio}}
        return msgspec.json.encode({"type": "session.update", "session": session})

    def _check(self, audio: events.Input) -> Iterable[Event]:
        """Compare what the server will do with what was asked."""
        form = audio.format or events.Format()
        kind = _FORMATS[self._encoding]
        if self._encoding in G711 and form.type != kind and not self._is_ready:
            return self._use_pcm()
        if form.type not in (None, kind) or form.rate not in (None, self._rate_hz):
            raise UpstreamError("validation-error", "the server expects another audio format")
        if audio.turn_detection is not None:
            raise UpstreamError("validation-error", "the server's voice detection is on")
        if self._is_ready:
            return ()
        self._is_ready = True
        return (Ready(),)

    def _handle(self, error: events.Problem) -> Iterable[Event]:
        """Miss the turn whose commit is refused; end the session after any other error."""
        if error.code == events.EMPTY_COMMIT:
            for turn in self._turns:
                if error.event_id == turn.commit_id and turn.speech and not turn.is_committed:
                    turn.is_committed = turn.is_over = turn.is_missed = True
                    return self._answer()
        failure = events.as_upstream_error(error, is_ready=self._is_ready)
        is_refused = failure.reason == "validation-error" and not self._is_ready
        if is_refused and self._encoding in G711:
            return self._use_pcm()
        raise failure

    # Items

    def _commit(self, event: events.Committed) -> Iterable[Event]:
        turn = next((turn for turn in self._turns if not turn.is_committed), None)
        if turn is None or turn.speech is None:
            raise UpstreamError("realtime-protocol-error", "a turn that the server has ended")
        if self._last_id and event.previous_item_id not in (None, "", self._last_id):
            raise UpstreamError("realtime-protocol-error", "items in another order than the audio")
        if turn.item_id != event.item_id:
            self._check_is_new(event.item_id)
            self._by_id.pop(turn.item_id or "", None)
            self._by_id[event.item_id] = turn
            turn.item_id = event.item_id
        turn.is_committed = True
        self._last_id = event.item_id
        return ()

    def _check_is_new(self, item_id: str) -> None:
        if item_id in self._by_id or item_id in self._closed_ids:
            raise UpstreamError("realtime-protocol-error", "an item for two turns")

    def _add(self, item_id: str, text: str) -> Iterable[Event]:
        """Add provisional text; a new item is that of the first turn without one."""
        turn = self._by_id.get(item_id)
        if turn is None:
            if item_id in self._closed_ids:
                return ()
            turn = next((turn for turn in self._turns if turn.item_id is None), None)
            if turn is None:
                raise UpstreamError("realtime-protocol-error", "text of an unknown item")
            turn.item_id = item_id
            self._by_id[item_id] = turn
        if turn.is_over:
            return ()
        turn.text = _bounded(turn.text + text)
        return self._show()

    def _end(
        self,
        item_id: str,
        transcript: str,
        *,
        language: str | None = None,
        is_missed: bool = False,
    ) -> Iterable[Event]:
        turn = self._by_id.get(item_id)
        if turn is None or not turn.is_committed:
            if item_id in self._closed_ids:
                return ()
            raise UpstreamError("realtime-protocol-error", "the end of an unknown item")
        if turn.is_over:
            return ()
        turn.text, turn.is_over, turn.is_missed = _bounded(transcript), True, is_missed
        turn.language = language
        return self._answer()

    def _answer(self) -> Iterable[Event]:
        """Yield the answers of the first turns that are over, then the text of the next one."""
        was_able = self.accepts_audio
        while self._turns and self._turns[0].is_over:
            turn = self._turns.popleft()
            self._shown = ""
            if turn.item_id:
                del self._by_id[turn.item_id]
                self._closed_ids.append(turn.item_id)
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
        text = _spaced(turn.text)
        if text == self._shown:
            return ()
        self._shown = text
        end_ms = turn.end_ms if turn.speech else self._sent_ms
        return (Answer(text, turn.begin_ms, end_ms, None, replaces=True),)


def _final(turn: _Turn) -> Answer:
    if turn.is_missed or turn.speech is None:
        begin_ms, end_ms = turn.begin_ms, turn.end_ms
        return Answer("", begin_ms, end_ms, end_ms, replaces=True, is_missed=True)
    return Answer(
        _spaced(turn.text),
        turn.speech.start_ms,
        turn.speech.end_ms,
        turn.end_ms,
        replaces=True,
        language=turn.language,
    )


def _spaced(text: str) -> str:
    """Return the text of a turn with the space that separates it from the turn before."""
    text = text.strip()
    return f" {text}" if text else ""


def _bounded(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise UpstreamError("realtime-protocol-error", "a turn has too much text")
    return text
