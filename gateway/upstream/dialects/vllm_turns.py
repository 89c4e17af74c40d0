"""vLLM's Realtime API, one generation per turn, for any model that it serves. Pure.

    client  session.update . commit . append ... commit{final}          commit . append ...
    server  session.created . delta ......................... delta done        . delta ...

`done` answers exactly the audio between the two commits, whatever the number of deltas. The server
drops audio that it receives between the final commit and `done`.

- Qwen3-ASR answers in segments of 5 s. Each begins with `language English<asr_text>`, in several
  deltas, and follows the one before without a space; `language None` is silence.
- Voxtral's deltas are text. Its own dialect, which counts them, is faster at showing words; this
  one is for servers that combine deltas, so that they can't be counted.

Source: vLLM 0.33, `entrypoints/speech_to_text/realtime` and `models/qwen3_asr_realtime.py`.
"""

import re
from collections.abc import Iterable
from typing import Final

from gateway.errors import UpstreamError
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
_MOST_CHARACTERS: Final = 20_000  # of one turn; someone who reads fast says 400 in 15 s
_HEADER_END: Final = "<asr_text>"
_HEADER: Final = re.compile(
    r"\s*language (?:[A-Z][A-Za-z]{0,40}<asr_text>|None(?=\s*(?:language |\Z)))"
)
_BEGUN: Final = "|".join("language"[:length] for length in range(1, 8))
_LANGUAGE: Final = re.compile(r"language ([A-Z][A-Za-z]{0,40})<asr_text>")
# The end of a text that may be the beginning of a header.
_UNFINISHED: Final = re.compile(
    rf"\s*(?:{_BEGUN}|language(?: (?:[A-Z][A-Za-z]{{0,40}}(?:<[a-z_]{{0,8}})?)?)?)\Z"
)


class VllmTurns:
    """The dialect.

    Args:
        has_headers: whether the model writes the language before the text, as Qwen3-ASR does.
        longest_turn_ms: the longest turn that the model answers well.
    """

    def __init__(self, *, has_headers: bool, longest_turn_ms: int) -> None:
        self._has_headers: Final = has_headers
        self.capabilities: Final = Capabilities(
            clock=Clock.TURNS, longest_turn_ms=longest_turn_ms, idle_s=realtime.IDLE_S
        )

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return the key as a bearer token."""
        return Address(headers={"Authorization": f"Bearer {api_key}"} if api_key else {})

    def session(self, options: Options) -> "VllmTurnsSession":
        """Return the state of a new session."""
        return VllmTurnsSession(options.model, has_headers=self._has_headers)


class VllmTurnsSession:
    """The turn that the server receives or answers.

    Attributes:
        accepts_audio: see `DialectSession`.
    """

    def __init__(self, model: str, *, has_headers: bool) -> None:
        self.accepts_audio = True
        self._model = model
        self._has_headers = has_headers
        self._is_ready = False
        self._is_finishing = False
        self._sent_bytes = 0
        self._begin_ms = 0  # of the turn
        self._speech: Speech | None = None  # of the turn that the server answers
        self._text = ""  # of the turn, as received
        self._shown = ""  # of the turn, as passed on

    def open(self) -> Iterable[Event]:
        """Do nothing: the server speaks first."""
        return ()

    def append(self, pcm: bytes) -> bytes:
        """Encode audio."""
        self._sent_bytes += len(pcm)
        return realtime.append(pcm)

    def cut(self, speech: Speech) -> Iterable[Event]:
        """End the generation; the next one begins once this one is answered."""
        self._speech = speech
        self.accepts_audio = False
        return (Send((realtime.FINAL_COMMIT,)),)

    def keep_alive(self) -> Iterable[Event]:
        """Do nothing: a session may be idle for `idle_s`."""
        return ()

    def finish(self) -> Iterable[Event]:
        """End at once, or once the last turn is answered."""
        self._is_finishing = True
        return () if self._speech else (Done(),)

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        match realtime.decode(message):
            case realtime.Delta() as delta:
                return self._add(delta.delta)
            case realtime.Deltas() as deltas:
                return self._add("".join(deltas.texts()))
            case realtime.SessionCreated() if not self._is_ready:
                self._is_ready = True
                return (Send((realtime.session_update(self._model), realtime.COMMIT)), Ready())
            case realtime.Done() as done:
                return self._end_turn(done.tokens)
            case realtime.ErrorReceived() as error:
                raise error.as_upstream_error()
            case _:
                return ()

    @property
    def _sent_ms(self) -> int:
        return self._sent_bytes // _BYTES_PER_MS

    def _add(self, text: str) -> Iterable[Event]:
        self._text += text
        if not self._has_headers and _HEADER_END in self._text[-len(text) - len(_HEADER_END) :]:
            raise UpstreamError("model-mismatch", "the text has Qwen3-ASR's header")
        if len(self._text) > _MOST_CHARACTERS:
            raise UpstreamError("realtime-protocol-error", "a turn has too much text")
        shown = self._spoken(is_complete=False)
        if shown == self._shown:
            return ()
        self._shown = shown
        return (Answer(shown, self._begin_ms, self._sent_ms, None, replaces=True),)

    def _end_turn(self, tokens: int | None) -> Iterable[Event]:
        """Answer the turn; an unasked `done` without audio only ends an idle generation.

        A model has tokens for any audio, so a `done` without tokens is unasked although the final
        commit was sent: they have crossed, and the audio was dropped.
        """
        if self._speech and not tokens and tokens is not None:
            raise UpstreamError("context-full", "done before the turn's audio")
        if self._speech is None:
            if self._sent_ms > self._begin_ms:
                return (Done(),)
            return (Send((realtime.COMMIT,)),)
        text, speech, until_ms = self._spoken(is_complete=True), self._speech, self._sent_ms
        times = speech.start_ms, speech.end_ms, until_ms
        answer = Answer(text, *times, replaces=True, language=self._language())
        self._begin_ms, self._speech, self._text, self._shown = until_ms, None, "", ""
        if self._is_finishing:
            return (answer, Done())
        self.accepts_audio = True
        return (answer, Send((realtime.COMMIT,)))

    def _language(self) -> str | None:
        """Return the language of the turn's last segment with words."""
        named = _LANGUAGE.findall(self._text) if self._has_headers else ()
        codes = [code for name in named if (code := language_code(name))]
        return codes[-1] if codes else None

    def _spoken(self, *, is_complete: bool) -> str:
        """Return the turn's text without headers, and with a space before it."""
        if not self._has_headers:
            text = self._text.strip()
        else:
            raw = self._text if is_complete else _UNFINISHED.sub("", self._text)
            text = " ".join(_HEADER.sub(" ", raw).split())
        return f" {text}" if text else ""
