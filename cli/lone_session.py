"""One session with a model server, as a call has it, but without a call: any dialect, any clock."""

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Final

from gateway.admission.endpoint import Access
from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.model_session import ModelSession
from gateway.calls.placed_answers import PlacedAnswer
from gateway.calls.services import CallLimits, CallServices
from gateway.errors import UpstreamError
from gateway.metrics import Metrics
from gateway.tracing import no_trace
from gateway.transcript.events import EventWriter
from gateway.upstream.dialects.dialect import Address, Options

SEGMENT_PAUSE_MS: Final = 1000

_LIMITS: Final = CallLimits(
    chunk_ms=80,
    open_timeout_s=20.0,
    done_timeout_s=30.0,
    finish_timeout_s=600.0,
    replay_ms=0,
    retry_budget_s=0.0,
    rollover_soft_s=0.0,
    rollover_hard_s=0.0,
    first_delta_late_s=30.0,
    mute_timeout_s=30.0,
    max_lag_ms=0,
    rut_deltas=0,
    segment_pause_ms=SEGMENT_PAUSE_MS,
    segment_max_ms=30_000,
    idle_timeout_s=0.0,
    silence_timeout_s=0.0,
    max_call_s=0.0,
)


class _Slot:
    """Implements `SessionSlot` for a server without admission."""

    endpoint = ""

    def __init__(self, access: Access) -> None:
        self.dialect = access.dialect
        self.options = access.options
        self.transport = access.transport
        self._access = access

    def address(self, options: Options) -> Address:
        """Return what the dialect adds to the server's address."""
        return self._access.address(options)

    async def acquire_replacement(self) -> "_Slot":
        """Refuse: the session is the only one."""
        raise UpstreamError("endpoint-at-capacity")

    def worked(self) -> None:
        """Do nothing."""

    def doubted(self) -> None:
        """Do nothing."""

    def failed(self, error: UpstreamError) -> None:
        """Do nothing: `finish` raises the error."""

    def release(self) -> None:
        """Do nothing."""


class LoneSession:
    """A session of one party.

    Args:
        access: opens the session.
        on_answer: called with each answer, including empty ones.

    Attributes:
        ended: whether it is over.
        answered_ms: audio before this time is answered.
    """

    def __init__(self, access: Access, on_answer: Callable[[PlacedAnswer], None]) -> None:
        self.ended = False
        self.answered_ms = 0
        self._on_answer = on_answer
        self._writable = asyncio.Event()
        self._sent_ms = 0
        self._session = ModelSession(
            _Slot(access),
            CallServices(
                open_writer=_no_writer,
                new_epoch=lambda: 0,
                metrics=Metrics(),
                limits=_LIMITS,
                monotonic_s=time.monotonic,
                wall_s=time.time,
                random=Random(),  # noqa: S311 - for jitter
            ),
            on_answer=self._answer,
            on_writable=self._writable.set,
            on_over=self._end,
            is_current=True,
            span=no_trace(""),
        )

    async def open(self) -> None:
        """Open the session; raises UpstreamError."""
        await self._session.open()

    async def append(self, pcm: bytes) -> None:
        """Send audio; wait while the session does not accept it.

        Raises:
            UpstreamError: it did not accept it for too long.
        """
        end_ms = self._sent_ms + len(pcm) // BYTES_PER_MS
        chunk = AudioChunk(pcm, self._sent_ms, end_ms)
        while not (self.ended or self._session.append(chunk, time.monotonic())):
            self._writable.clear()
            try:
                async with asyncio.timeout(_LIMITS.done_timeout_s):
                    await self._writable.wait()
            except TimeoutError:
                raise UpstreamError("send-timeout", "the window stays full") from None
        self._sent_ms = end_ms

    async def finish(self) -> None:
        """End the audio and wait for the last answer; raises UpstreamError."""
        await self._session.finish()

    def _answer(self, answer: PlacedAnswer) -> None:
        self.answered_ms = max(self.answered_ms, answer.answered_ms or 0)
        self._on_answer(answer)

    def _end(self, _: ModelSession) -> None:
        self.ended = True
        self._writable.set()


def _no_writer(*_: object, **__: object) -> EventWriter:
    raise RuntimeError("a session without a call publishes nothing")
