"""Voxtral Realtime on vLLM: one delta per 80 ms of audio. Pure.

    client  session.update{model} . commit . append . append ... commit{final}
    server  session.created . delta . delta ............................ done

The server reports no times, but it sends exactly one delta per 80 ms of audio, empty or not. It
waits for its configured delay before it sends the first delta. The delay affects when a delta
arrives, not which audio it covers: delta k of a session covers the kth 80 ms of its audio.

vLLM up to 0.32 merges deltas if they are read too slowly. The text is complete, but the count falls
behind, and with it the times. So the end of a session compares it with the tokens that the server
reports. A model other than Voxtral sends words only, or a header (`WordsOnlyWatch` and below).
"""

from collections.abc import Iterable
from typing import Final

from gateway.errors import UpstreamError
from gateway.upstream import realtime
from gateway.upstream.dialects.dialect import (
    Address,
    Answer,
    Capabilities,
    Done,
    Event,
    Options,
    Ready,
    Send,
    Speech,
)

TOKEN_MS: Final = 80

_BYTES_PER_MS: Final = 32
# Deltas beyond the audio sent: the padding of a final commit causes about 40 at the longest delay.
_MOST_TOKENS_AHEAD: Final = 250
# In the first deltas of Qwen3-ASR.
_OTHER_MODEL: Final = "<asr_text>"
_FIRST_DELTAS: Final = 64


class Voxtral:
    """The dialect; `coalesce_ms` asks the container's bridge to combine deltas."""

    capabilities: Final = Capabilities(
        delay_ms=2400 + TOKEN_MS,  # Voxtral's longest delay, and its first token
        unit_bytes=realtime.TOKEN_BYTES,
        idle_s=realtime.IDLE_S,
    )

    def __init__(self, coalesce_ms: int = 0) -> None:
        self._query: Final = realtime.coalescing_query(coalesce_ms)

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return the query, and the key as a bearer token."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        return Address(query=self._query, headers=headers)

    def session(self, options: Options) -> "VoxtralSession":
        """Return the state of a new session."""
        return VoxtralSession(options.model)


class VoxtralSession:
    """Counts the audio sent and the deltas received."""

    accepts_audio: Final = True

    def __init__(self, model: str) -> None:
        self._model = model
        self._is_ready = False
        self._sent_bytes = 0
        self._tokens = 0  # of the audio
        self._deltas = 0
        self._first_text = ""  # of the first deltas

    def open(self) -> Iterable[Event]:
        """Do nothing: the server speaks first."""
        return ()

    def append(self, pcm: bytes) -> bytes:
        """Encode audio."""
        self._sent_bytes += len(pcm)
        return realtime.append(pcm)

    def cut(self, speech: Speech) -> Iterable[Event]:
        """Do nothing: the session is one turn."""
        return ()

    def keep_alive(self) -> Iterable[Event]:
        """Do nothing: a session may be idle."""
        return ()

    def finish(self) -> Iterable[Event]:
        """Send the final commit."""
        return (Send((realtime.FINAL_COMMIT,)),)

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        match realtime.decode(message):
            case realtime.Delta() as delta:
                return self._receive(delta.delta)
            case realtime.Deltas() as deltas:
                return (answer for text in deltas.texts() for answer in self._receive(text))
            case realtime.SessionCreated() if not self._is_ready:
                self._is_ready = True
                update = realtime.session_update(self._model)
                return (Send((update, realtime.COMMIT)), Ready())
            case realtime.Done() as done:
                return self._end(done.tokens)
            case realtime.ErrorReceived() as error:
                raise error.as_upstream_error()
            case _:
                return ()

    def _receive(self, text: str) -> Iterable[Answer]:
        if not self._is_ready:
            raise UpstreamError("realtime-protocol-error", "an answer before the commit")
        self._deltas += 1
        if self._deltas <= _FIRST_DELTAS:
            self._first_text += text
            if _OTHER_MODEL in self._first_text:
                raise UpstreamError("model-mismatch", "the text has Qwen3-ASR's header")
        return self._answer(text)

    def _end(self, tokens: int | None) -> Iterable[Event]:
        """Compare the count of deltas with the server's, which shows what is answered in fact."""
        if tokens is None or tokens <= self._deltas:
            return (Done(),)
        sent_ms = self._sent_bytes // _BYTES_PER_MS
        start_ms = min(TOKEN_MS * self._tokens, sent_ms)
        end_ms = min(start_ms + TOKEN_MS * (tokens - self._deltas), sent_ms)
        # Without a length: its words came before, so it is not audio without words.
        rest = (Answer("", end_ms, end_ms, end_ms),) if end_ms > start_ms else ()
        return (*rest, Done(is_doubted=True))

    def _answer(self, text: str) -> Iterable[Answer]:
        if not self._sent_bytes:
            return ()
        sent_ms = self._sent_bytes // _BYTES_PER_MS
        start_ms = TOKEN_MS * self._tokens
        self._tokens += 1
        end_ms = start_ms + TOKEN_MS
        if end_ms > sent_ms:
            if end_ms > sent_ms + _MOST_TOKENS_AHEAD * TOKEN_MS:
                raise UpstreamError("realtime-protocol-error", "more deltas than audio")
            start_ms, end_ms = min(start_ms, sent_ms), sent_ms
        return (Answer(text, start_ms, end_ms, end_ms),)
