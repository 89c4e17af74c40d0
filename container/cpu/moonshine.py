"""Transcribe tracks with Moonshine: each track's open window is transcribed again as it grows.

    append() -> Windower -> queue of tracks -> worker thread: model.words()
             -> LocalAgreement -> next_text()

One worker thread serves all tracks in turn. A track has at most one job at a time, made of its
newest audio when its turn comes. If the model is too slow, hypotheses become less frequent instead
of piling up in a queue. Only the event loop's thread accesses the state; the worker gets audio and
returns words.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Protocol

from container.cpu.agreement import LocalAgreement, is_mark
from container.cpu.clock import RATE_HZ, TOKEN_SAMPLES, TokenClock
from container.cpu.windows import Window, Windower

HYPOTHESIS_EVERY = 10_240  # samples, 0.64 s: shorter steps cost more CPU and confirm more mistakes
# A delta is due this many samples after its own audio begins (480 ms and one token). Deltas may
# therefore run ahead of the last known word by as much without passing it.
AHEAD = TokenClock().first_delta_samples


class Model(Protocol):
    """A speech model; its methods are called on the worker thread."""

    def words(self, pcm: bytes) -> list[str]:
        """Transcribe one window; blocks."""

    def close(self) -> None:
        """Free the model's memory."""


class MoonshineTranscription:
    """The transcription of one track."""

    def __init__(self, model: "MoonshineTranscriber", on_progress: Callable[[], None]) -> None:
        self._model = model
        self._on_progress = on_progress
        self._windower = Windower()
        self._agreement = LocalAgreement()
        self._words: deque[tuple[str, int]] = deque()  # agreed words, and the sample each ends at
        self._words_end = 0  # sample up to which words are known; later words end after it
        self._emitted = 0  # samples that have a delta
        self._received = 0
        self._covered = 0  # sample up to which the newest hypothesis reaches
        self._finishing = False

    @property
    def backlog(self) -> int:
        """Samples received since the first speech that no hypothesis covers yet."""
        if not self._windower.windows:
            return 0
        return self._received - max(self._windower.windows[0].begin, self._covered)

    @property
    def confirmed(self) -> int:
        """Samples whose deltas may be sent; a word belongs to the delta in which it ends."""
        if not self._windower.windows:
            return self._received
        known = max(self._windower.windows[0].begin, self._words_end)
        return min(self._received, known + AHEAD)

    @property
    def finished(self) -> bool:
        """Whether all speech is transcribed."""
        return self._finishing and not self._windower.windows

    def append(self, pcm: bytes) -> None:
        """Add audio and cut it into windows."""
        self._windower.append(pcm)
        self._received += len(pcm) // 2
        self._model.schedule(self)

    def finish(self) -> None:
        """Close the last window."""
        self._windower.finish()
        self._finishing = True
        self._model.schedule(self)

    def next_text(self, *, last: bool) -> str:
        """Return the words that end in the next delta's audio or, for the last delta, all left."""
        self._emitted += TOKEN_SAMPLES
        text = ""
        while self._words and (last or self._words[0][1] <= self._emitted):
            word, _ = self._words.popleft()
            text += word if is_mark(word) else f" {word}"
        return text

    def abandon(self) -> None:
        """Discard all windows, so that no further job starts."""
        self._windower.windows.clear()
        self._model.schedule(self)

    def next_job(self) -> tuple[Window, int] | None:
        """Return the window to transcribe next and its end sample, or None if there is none yet.

        An open window is transcribed in whole steps of `HYPOTHESIS_EVERY`, independent of when its
        turn comes. As long as the model keeps up, the same audio therefore gives the same words.
        """
        if not self._windower.windows:
            return None
        window = self._windower.windows[0]
        if window.closed:
            return window, window.speech_end
        covered = max(window.begin, self._covered)
        steps = (window.speech_end - covered) // HYPOTHESIS_EVERY
        return (window, covered + steps * HYPOTHESIS_EVERY) if steps > 0 else None

    def conclude(self, window: Window, hypothesis: list[str], *, end: int, closed: bool) -> None:
        """Process a hypothesis of a window.

        Args:
            window: the window that was transcribed.
            hypothesis: the words.
            end: the sample up to which the window was transcribed.
            closed: whether the window was closed, so that the hypothesis covers all of it.
        """
        if not self._windower.windows or self._windower.windows[0] is not window:
            return  # `abandon` was called meanwhile
        self._covered = end
        if closed:
            self._queue_words(self._agreement.conclude(hypothesis), hypothesis, window.begin, end)
            self._agreement = LocalAgreement()
            self._windower.windows.popleft()
        elif not window.closed:  # a forced cut may have made it shorter than the hypothesis
            self._queue_words(self._agreement.revise(hypothesis), hypothesis, window.begin, end)
        self._on_progress()

    def _queue_words(self, agreed: list[str], hypothesis: list[str], begin: int, end: int) -> None:
        """Queue words; the sample at which each ends is estimated by its letters' position."""
        ends = list(accumulate((len(word) + 1 for word in hypothesis), initial=0))
        until = self._agreement.position
        if agreed and is_mark(agreed[0]):
            self._words.append((agreed.pop(0), self._words_end))
        first = until - len(agreed)
        for word, letters in zip(agreed, ends[first + 1 :], strict=False):
            at = begin + (end - begin) * letters // ends[-1]
            self._words_end = max(self._words_end, at)
            self._words.append((word, self._words_end))
        if until == len(hypothesis):  # the hypothesis has no further words
            self._words_end = max(self._words_end, end)


class MoonshineTranscriber:
    """One model with one worker thread, shared by any number of tracks.

    Args:
        model: closed together with the transcriber.
        on_failed: called once if the model fails; no transcription makes progress after that.
    """

    def __init__(self, model: Model, on_failed: Callable[[BaseException], None]) -> None:
        self._model = model
        self._on_failed = on_failed
        self._worker = ThreadPoolExecutor(1, "model")
        self._waiting: dict[MoonshineTranscription, None] = {}  # in the order of their turns
        self._busy_with: MoonshineTranscription | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def lag_s(self) -> float:
        """Seconds of audio that the slowest track has received but not transcribed."""
        tracks = [*self._waiting, *([self._busy_with] if self._busy_with else [])]
        return max((track.backlog for track in tracks), default=0) / RATE_HZ

    def begin(self, on_progress: Callable[[], None]) -> MoonshineTranscription:
        """Start the transcription of a track."""
        return MoonshineTranscription(self, on_progress)

    def close(self) -> None:
        """Stop the worker after its current job and free the model."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._model.close()

    def schedule(self, track: MoonshineTranscription) -> None:
        """Queue a track; if the worker is idle, start the job of the first track that has one."""
        if track is not self._busy_with:
            self._waiting.setdefault(track)
        while self._busy_with is None and self._waiting:
            track = next(iter(self._waiting))
            del self._waiting[track]
            if (job := track.next_job()) is not None:
                self._work(track, *job)

    def _work(self, track: MoonshineTranscription, window: Window, end: int) -> None:
        self._busy_with = track
        closed = window.closed
        job = self._loop.run_in_executor(self._worker, self._model.words, window.pcm(end))

        def on_done(job: asyncio.Future[list[str]]) -> None:
            if job.cancelled():
                return
            if (error := job.exception()) is not None:
                self._on_failed(error)  # `_busy_with` stays set, so no further job starts
                return
            self._busy_with = None
            track.conclude(window, job.result(), end=end, closed=closed)
            self.schedule(track)

        job.add_done_callback(on_done)
