"""A transcriber over Moonshine: every track's open window, heard again as it grows.

    hear() -> Windower -> its turn -> worker thread: model.words() -> LocalAgreement -> next_text()

One worker thread serves all tracks in turn. A track never has more than one job, made of the newest
audio at the moment its turn comes: when the model can't keep up, hypotheses get rarer, and no queue
of stale ones grows. All state lives on the event loop's thread; the worker knows audio and words.
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

HYPOTHESIS_EVERY = 10_240  # samples, 0.64 s: shorter costs more and agrees on more mistakes
# The clock gives a delta when so much was heard from where its audio begins (480 ms and itself): so
# far beyond the last word that is known, deltas still do not pass it.
AHEAD = TokenClock().first_delta_samples


class Model(Protocol):
    """What the worker thread runs."""

    def words(self, pcm: bytes) -> list[str]:
        """Transcribe one window; blocking."""

    def close(self) -> None:
        """Free it."""


class MoonshineTranscription:
    """One track's audio becoming words."""

    def __init__(self, model: "MoonshineTranscriber", on_progress: Callable[[], None]) -> None:
        self._model = model
        self._on_progress = on_progress
        self._windower = Windower()
        self._agreement = LocalAgreement()
        self._words: deque[tuple[str, int]] = deque()  # agreed, and the sample where each ends
        self._placed = 0  # samples whose words are known; a word's place never precedes it
        self._given = 0  # samples that deltas were given for
        self._received = 0
        self._hypothesised = 0  # samples of speech that the current window's hypothesis covers
        self._finishing = False

    @property
    def unheard(self) -> int:
        """Samples from the first speech that no hypothesis covers."""
        if not self._windower.windows:
            return 0
        return self._received - max(self._windower.windows[0].begin, self._hypothesised)

    @property
    def settled(self) -> int:
        """Samples whose deltas may go out: words are in the delta of the audio they end in."""
        if not self._windower.windows:
            return self._received
        known = max(self._windower.windows[0].begin, self._placed)
        return min(self._received, known + AHEAD)

    @property
    def finished(self) -> bool:
        """Has the model heard all speech?"""
        return self._finishing and not self._windower.windows

    def hear(self, pcm: bytes) -> None:
        """Cut it into windows."""
        self._windower.hear(pcm)
        self._received += len(pcm) // 2
        self._model.consider(self)

    def finish(self) -> None:
        """Close the last window."""
        self._windower.finish()
        self._finishing = True
        self._model.consider(self)

    def next_text(self, *, last: bool) -> str:
        """Return the words that end in the next delta's audio; all words in the last delta."""
        self._given += TOKEN_SAMPLES
        text = ""
        while self._words and (last or self._words[0][1] <= self._given):
            word, _ = self._words.popleft()
            text += word if is_mark(word) else f" {word}"
        return text

    def abandon(self) -> None:
        """Make no further jobs."""
        self._windower.windows.clear()
        self._model.consider(self)

    def next_job(self) -> tuple[Window, int] | None:
        """The window to hear next, and up to which sample, if a hypothesis is worth its cost now.

        An open window is heard in whole steps of `HYPOTHESIS_EVERY`, whenever its turn comes: as
        long as the model keeps up, the same audio gives the same words.
        """
        if not self._windower.windows:
            return None
        window = self._windower.windows[0]
        if window.closed:
            return window, window.speech_end
        covered = max(window.begin, self._hypothesised)
        steps = (window.speech_end - covered) // HYPOTHESIS_EVERY
        return (window, covered + steps * HYPOTHESIS_EVERY) if steps > 0 else None

    def conclude(self, window: Window, hypothesis: list[str], *, end: int, closed: bool) -> None:
        """Take what the model heard of a window up to `end`, the whole of it if it was `closed`."""
        if not self._windower.windows or self._windower.windows[0] is not window:
            return  # abandoned meanwhile
        self._hypothesised = end
        if closed:
            self._place(self._agreement.conclude(hypothesis), hypothesis, window.begin, end)
            self._agreement = LocalAgreement()
            self._windower.windows.popleft()
        elif not window.closed:  # a forced cut may have made it shorter than what was heard
            self._place(self._agreement.revise(hypothesis), hypothesis, window.begin, end)
        self._on_progress()

    def _place(self, said: list[str], hypothesis: list[str], begin: int, end: int) -> None:
        """Queue words with the sample where each ends, as its letters lie in the hypothesis."""
        ends = list(accumulate((len(word) + 1 for word in hypothesis), initial=0))
        until = self._agreement.position
        if said and is_mark(said[0]):
            self._words.append((said.pop(0), self._placed))
        first = until - len(said)
        for word, letters in zip(said, ends[first + 1 :], strict=False):
            at = begin + (end - begin) * letters // ends[-1]
            self._placed = max(self._placed, at)
            self._words.append((word, self._placed))
        if until == len(hypothesis):  # nothing more is in it
            self._placed = max(self._placed, end)


class MoonshineTranscriber:
    """One model, one worker thread, any number of tracks.

    Args:
        model: closed with the transcriber.
        on_failed: told once if the model fails; no transcription makes progress after that.
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
        """How much audio the slowest track waits for the model to hear, in seconds."""
        tracks = [*self._waiting, *([self._busy_with] if self._busy_with else [])]
        return max((track.unheard for track in tracks), default=0) / RATE_HZ

    def begin(self, on_progress: Callable[[], None]) -> MoonshineTranscription:
        """Start a track."""
        return MoonshineTranscription(self, on_progress)

    def close(self) -> None:
        """End the worker after the job it is at."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._model.close()

    def consider(self, track: MoonshineTranscription) -> None:
        """Put a track in the line; put the first with something to hear to work."""
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

        def heard(job: asyncio.Future[list[str]]) -> None:
            if job.cancelled():
                return
            if (error := job.exception()) is not None:
                self._on_failed(error)  # and stay busy: no further job
                return
            self._busy_with = None
            track.conclude(window, job.result(), end=end, closed=closed)
            self.consider(track)

        job.add_done_callback(heard)
