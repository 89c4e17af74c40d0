"""Voxtral Realtime on vLLM: one delta per 80 ms of audio. Pure.

    client  session.update{model} . commit . append . append ... commit{final}
    server  session.created . delta . delta ............................ done

The server reports no times, but it sends exactly one delta per 80 ms of audio, empty or not. It
waits for its configured delay before it sends the first delta. The delay affects when a delta
arrives, not which audio it covers: delta k of a session covers the kth 80 ms of its audio.
"""

from collections.abc import Iterable, Sequence
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
    Reply,
    Speech,
)

TOKEN_MS: Final = 80

_BYTES_PER_MS: Final = 32
# Deltas beyond the audio sent: the padding of a final commit causes about 40 at the longest delay.
_MOST_TOKENS_AHEAD: Final = 250


class Voxtral:
    """The dialect; `coalesce_ms` asks the container's bridge to combine deltas."""

    capabilities: Final = Capabilities(
        delay_ms=2400 + TOKEN_MS,  # Voxtral's longest delay, and its first token
        unit_bytes=realtime.TOKEN_BYTES,
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
        self._tokens = 0

    @property
    def lag_ms(self) -> int:
        """Length of the audio that was sent and is not covered by deltas."""
        sent_ms = self._sent_bytes // _BYTES_PER_MS
        return sent_ms - min(TOKEN_MS * self._tokens, sent_ms)

    def open(self) -> Sequence[bytes]:
        """Return nothing: the server speaks first."""
        return ()

    def append(self, pcm: bytes) -> bytes:
        """Encode audio."""
        self._sent_bytes += len(pcm)
        return realtime.append(pcm)

    def cut(self, speech: Speech) -> Sequence[bytes]:
        """Return nothing: the session is one turn."""
        return ()

    def finish(self) -> Sequence[bytes]:
        """Encode the final commit."""
        return (realtime.FINAL_COMMIT,)

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message; raises UpstreamError as `DialectSession.receive`."""
        match realtime.decode(message):
            case realtime.Delta() as delta:
                return self._answer(delta.delta)
            case realtime.Deltas() as deltas:
                return (answer for text in deltas.texts() for answer in self._answer(text))
            case realtime.SessionCreated() if not self._is_ready:
                self._is_ready = True
                update = realtime.session_update(self._model)
                return (Reply((update, realtime.COMMIT)), Ready())
            case realtime.Done():
                return (Done(),)
            case realtime.ErrorReceived() as error:
                raise error.as_upstream_error()
            case _:
                return ()

    def _answer(self, text: str) -> Sequence[Answer]:
        if not self._is_ready:
            raise UpstreamError("realtime-protocol-error", "an answer before the commit")
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
