"""Plays a recording in several sessions at the same time, and measures how the server answers."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import jiwer
import numpy as np

from cli.capacity.steps import Level
from gateway.admission.endpoint import Access
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer
from gateway.upstream.session import RealtimeSession

CHUNK_S: Final = 0.08  # the audio of one delta
CHUNK_BYTES: Final = 2560  # of it, PCM16 at 16 kHz
_OPEN_TIMEOUT_S: Final = 20.0
_DONE_TIMEOUT_S: Final = 30.0
_LEAST_DELTAS: Final = 0.5  # per 80 ms of audio; a server that keeps up sends one
_WINDOW_TIMEOUT_S: Final = 10.0


@dataclass(slots=True)
class _Call:
    """One session: the listener of its deltas, and its times on the monotonic clock."""

    begin_s: float = 0.0
    first_s: float | None = None
    lags_s: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    writable: asyncio.Event = field(default_factory=asyncio.Event)

    def on_answer(self, answer: Answer) -> None:
        """Note how long after the end of its audio an answer arrives."""
        now_s = time.monotonic()
        if self.first_s is None:
            self.first_s = now_s - self.begin_s
        self.texts.append(answer.text)
        self.lags_s.append(now_s - self.begin_s - CHUNK_S * len(self.texts))

    def on_writable(self) -> None:
        """Resume sending."""
        self.writable.set()

    def on_ended(self, _: UpstreamError | None) -> None:
        """Stop waiting for the window; `finish` raises the error."""
        self.writable.set()


async def measure(
    access: Access, chunks: Sequence[bytes], sessions: int, alone: str
) -> tuple[Level, str]:
    """Play the chunks in real time in each of the sessions.

    Args:
        access: opens the sessions.
        chunks: 80 ms of audio each.
        sessions: how many at the same time; they begin within 80 ms.
        alone: the transcript of one session alone; empty if this is that session.

    Returns:
        The measurements, and the transcript of the first session that did not fail.
    """
    calls = [_Call() for _ in range(sessions)]
    results = await asyncio.gather(
        *(_play(access, chunks, call) for call in calls), return_exceptions=True
    )
    errors = [each for each in results if isinstance(each, BaseException)]
    for error in errors:
        if not isinstance(error, UpstreamError):
            raise error
    done = [call for call, result in zip(calls, results, strict=True) if result is None]
    texts = ["".join(call.texts).strip() for call in done]
    alone = alone or next(iter(texts), "")
    level = Level(
        sessions=sessions,
        failed=len(errors),
        reason=str(errors[0]) if errors else "",
        first_delta_s=_p95([call.first_s for call in done if call.first_s is not None]),
        lag_s=_p95([lag for call in done for lag in call.lags_s]),
        word_errors=word_errors(alone, texts),
    )
    return level, alone


def word_errors(alone: str, texts: Sequence[str]) -> float:
    """Return the mean share of words that differ from a transcript."""
    if not alone or not texts:
        return 0.0
    return float(np.mean([jiwer.wer(alone.lower(), text.lower()) for text in texts]))


async def _play(access: Access, chunks: Sequence[bytes], call: _Call) -> None:
    dialect = access.dialect.session(access.options)
    session = RealtimeSession(call, dialect, done_timeout_s=_DONE_TIMEOUT_S)
    await asyncio.sleep(random.uniform(0, CHUNK_S))  # noqa: S311 - as calls do, not in step
    await session.open(access.transport, _OPEN_TIMEOUT_S, access.address())
    call.begin_s = time.monotonic()
    for number, chunk in enumerate(chunks, start=1):
        # Live audio is complete only after its last sample was spoken.
        await asyncio.sleep(max(0.0, call.begin_s + number * CHUNK_S - time.monotonic()))
        await _append(session, chunk, call.writable)
        if session.is_over:
            break
    await session.finish()
    if len(call.texts) < _LEAST_DELTAS * len(chunks):
        why = f"{len(call.texts)} deltas for {len(chunks) * CHUNK_S:.0f} s of audio"
        raise UpstreamError("session-mute", why)


async def _append(session: RealtimeSession, chunk: bytes, writable: asyncio.Event) -> None:
    while not session.append(chunk) and not session.is_over:
        writable.clear()
        try:
            await asyncio.wait_for(writable.wait(), _WINDOW_TIMEOUT_S)
        except TimeoutError:
            session.fail(UpstreamError("send-timeout", "the window stays full"))


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95)) if values else 0.0
