"""The CPU engine's server of Mistral's protocol as a scripted peer, with its known failures."""

import asyncio
import audioop
import dataclasses
import json
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Any

import msgspec

from cli import audit, audit_coverage
from container.cpu.clock import TokenClock
from container.cpu.generation import Rules
from container.cpu.mistral import MistralRules, MistralSession
from container.cpu.server_session import Close, Phase
from gateway.transcript.events import StreamEnded, TranscriptEvent, TranscriptFinal, TranscriptGap
from tests.gateway.scripted import ScriptedStream, ScriptedTransport

MODEL = "voxtral-mini-transcribe-realtime-3"
SILENCE = b"\xff"  # mu-law
MUSIC = b"\x00"  # a constant: loud, and never above zero


_LEAST_PEAK = 6000


class Failure(Enum):
    """How a session of the vendor's server fails."""

    NONE = auto()
    SILENT = auto()  # (A) from some time on it sends nothing, not even the end
    DEAF = auto()  # (B) for the first 31 s it sends no text, and it loses that speech
    CUT = auto()  # (C) it ends early: the newest 2 s have no text
    RESET = auto()  # the connection is lost after some time


class Transcription:
    """Checksums as those of the checksum engine, but none for `MUSIC`."""

    def __init__(self) -> None:
        self.confirmed = 0
        self.finished = False
        self._pcm = bytearray()

    def append(self, pcm: bytes) -> None:
        self._pcm += pcm
        self.confirmed += len(pcm) // 2

    def finish(self) -> None:
        self.finished = True

    def next_text(self, *, last: bool) -> str:
        chunk = bytes(self._pcm[:2560])
        del self._pcm[:2560]
        return f" {zlib.crc32(chunk):08x}" if _has_words(chunk) else ""

    def abandon(self) -> None:
        pass


class MistralServer:
    """Creates a session per stream.

    Args:
        extras: what it sends beside text.
        failures: of the streams, in order; the others work.
        after_s: when `SILENT` and `RESET` begin, after the opening.
    """

    def __init__(
        self,
        extras: MistralRules = MistralRules(),  # noqa: B008 - frozen
        failures: Sequence[Failure] = (),
        after_s: float = 5.0,
    ) -> None:
        self.transport = ScriptedTransport(self._greet)
        self.after_s = after_s
        self._extras = extras
        self._failures = failures

    def _greet(self, stream: ScriptedStream) -> None:
        number = len(self.transport.streams) - 1
        failure = self._failures[number] if number < len(self._failures) else Failure.NONE
        _Peer(stream, self._extras, failure, self.after_s)


class _Peer:
    def __init__(
        self, stream: ScriptedStream, extras: MistralRules, failure: Failure, after_s: float
    ) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._session = MistralSession(Rules(MODEL, TokenClock(480)), extras, "r1")
        self._failure = failure
        self._opened_s = self._loop.time()
        self._is_silent = False
        self._unsent: deque[str] = deque()
        if failure is Failure.SILENT:
            self._loop.call_later(after_s, self._fall_silent)
        if failure is Failure.RESET:
            self._loop.call_later(after_s, self._reset)
        stream.on_sent = self._receive
        self._reply(self._session.greet())

    def _fall_silent(self) -> None:
        self._is_silent = True

    def _reset(self) -> None:
        self._is_silent = True
        if not (self._stream.aborted or self._stream.finished):
            self._stream.close()

    def _receive(self, message: dict[str, Any]) -> None:
        if self._stream.aborted:
            return
        if message["type"] == "input_audio.end" and self._failure is Failure.CUT:
            self._is_silent = True
            self._stream.say("transcription.done", text="", usage={})
            return
        self._reply(self._session.receive(json.dumps(message)))
        if self._session.phase is Phase.WAITING:
            self._reply(self._session.begin(Transcription()))

    def _reply(self, replies: Iterable[str | Close]) -> None:
        for reply in replies:
            assert isinstance(reply, str)
            is_late = self._failure is Failure.CUT and self._session.phase is not Phase.IDLE
            delay_s = 2.0 if is_late else 0.04
            self._unsent.append(reply)
            self._loop.call_later(delay_s, self._send)

    def _send(self) -> None:
        reply = self._unsent.popleft()  # timers of the same time are not in order
        is_deaf = self._failure is Failure.DEAF and self._loop.time() < self._opened_s + 31
        is_text = json.loads(reply)["type"] not in ("session.created", "session.updated")
        if self._is_silent or self._stream.aborted or (is_deaf and is_text):
            return
        self._stream.receiver.on_message(reply.encode())


def account(events: Sequence[TranscriptEvent], mulaw: bytes) -> audit.Account:
    """Account for a track's audio by its finals: only their times are exact."""
    rows: list[dict[str, str]] = []
    for event in events:
        match event:
            case TranscriptFinal():
                kind = "transcript.final"
            case TranscriptGap():
                kind = "transcript.gap"
            case StreamEnded():
                kind = "stream.ended"
            case _:
                continue
        fields = {"type": kind, "epoch": "1", "n": str(len(rows) + 1)}
        rows.append(fields | {k: str(v) for k, v in msgspec.structs.asdict(event).items()})
    found = audit.account(rows, {"inbound": mulaw})
    return dataclasses.replace(found, shed_deltas=0)  # deltas are left out on purpose


def spoken(events: Sequence[TranscriptEvent]) -> list[str]:
    """Return the words of all finals."""
    return [w for e in events if isinstance(e, TranscriptFinal) for w in e.text.split()]


def checksums(mulaw: bytes) -> list[str]:
    """Return the words for audio that one session received from its start."""
    pcm = audit_coverage.g711_pcm(audit_coverage.expected_pcm(mulaw, flush=True))
    parts = [pcm[at : at + 2560] for at in range(0, len(pcm), 2560)]
    return [f"{zlib.crc32(part):08x}" for part in parts if _has_words(part)]


def _has_words(pcm: bytes) -> bool:
    """Return whether PCM16 audio contains noise; the filter's ringing around music is lower."""
    return bool(pcm) and audioop.minmax(pcm, 2)[1] > _LEAST_PEAK
