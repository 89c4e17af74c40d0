"""Cut a track's audio into windows of speech for a model that transcribes utterances. Pure.

The model transcribes a window from its beginning each time, so windows must be short. A cut inside
a word loses the word, so windows end at pauses: the longer a window is, the shorter the pause that
ends it. At `MAX_FRAMES` a window is cut at the quietest spot of its last 1.2 s. Silence is kept out
of windows, because the model outputs words for it ("You").

    silence --two loud frames--> window open --a pause, or MAX_FRAMES--> window closed
"""

from collections import deque

import numpy as np

FRAME = 320  # samples: 20 ms at 16 kHz

# (minimum length of a window, length of the pause that ends it), in frames
PAUSES = ((0, 32), (150, 20), (225, 11))
MAX_FRAMES = 300  # 6 s: a longer window costs more, and the model starts to repeat itself
CUT_SEARCH_FRAMES = 60  # a forced cut is made in the last 1.2 s, of which no word is agreed yet
LEAD_FRAMES = 12  # kept before the first loud frame, because a soft consonant may precede it
TAIL_FRAMES = 12  # kept after the last loud frame

FLOOR_START_DB = -60.0
FLOOR_RISE_DB = 0.06  # per frame, i.e. 3 dB/s: the floor reaches steady noise within seconds
ABOVE_FLOOR_DB = 9.0
QUIETEST_SPEECH_DB = -52.0  # relative to full scale; noise on a mu-law line is near -60


class Window:
    """One stretch of speech, to which frames are added until it is closed."""

    def __init__(self, lead: list[bytes], begin: int) -> None:
        self.begin = begin  # samples since the generation's start
        self.frames = lead
        self.levels_db = [QUIETEST_SPEECH_DB] * len(lead)
        self.quiet_run = 0
        self.closed = False

    def add(self, frame: bytes, level_db: float, *, loud: bool) -> None:
        """Append one frame."""
        self.frames.append(frame)
        self.levels_db.append(level_db)
        self.quiet_run = 0 if loud else self.quiet_run + 1

    def at_pause(self) -> bool:
        """Return whether the pause is long enough to end a window of this length."""
        needed = min(pause for length, pause in PAUSES if len(self.frames) >= length)
        return self.quiet_run >= needed

    def split(self) -> "Window":
        """Cut the window at the quietest spot of its last 1.2 s; return the rest as a window."""
        levels = np.convolve(self.levels_db[-CUT_SEARCH_FRAMES:], np.ones(3) / 3, "valid")
        cut = len(self.frames) - CUT_SEARCH_FRAMES + int(levels.argmin()) + 1
        rest = Window(self.frames[cut:], self.begin + cut * FRAME)
        rest.levels_db = self.levels_db[cut:]
        rest.quiet_run = self.quiet_run
        self.quiet_run = 0
        del self.frames[cut:]
        return rest

    @property
    def speech_end(self) -> int:
        """Sample at which the speech ends so far, including up to `TAIL_FRAMES` of the pause."""
        frames = len(self.frames) - max(0, self.quiet_run - TAIL_FRAMES)
        return self.begin + frames * FRAME

    def pcm(self, end: int) -> bytes:
        """Return the audio until sample `end`, PCM16 little-endian, in whole frames."""
        return b"".join(self.frames[: (end - self.begin) // FRAME])


class Windower:
    """Turns one track's audio, which may arrive in pieces of any size, into windows.

    Attributes:
        samples: how many were processed, in whole frames.
        windows: those that were not removed yet, oldest first; only the last one may be open.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.windows: deque[Window] = deque()
        self._rest = b""
        self._floor_db = FLOOR_START_DB
        self._lead: deque[bytes] = deque(maxlen=LEAD_FRAMES)
        self._loud_run = 0

    def append(self, pcm: bytes) -> None:
        """Process audio, PCM16 little-endian; an incomplete frame is kept for the next call."""
        pcm = self._rest + pcm
        whole = len(pcm) // (2 * FRAME) * (2 * FRAME)
        self._rest = pcm[whole:]
        samples = np.frombuffer(pcm, "<i2", whole // 2).reshape(-1, FRAME)
        power = np.square(samples, dtype=np.float32).mean(axis=1) / 32768.0**2
        for index, level_db in enumerate((10 * np.log10(power + 1e-10)).tolist()):
            self._add_frame(pcm[index * 2 * FRAME : (index + 1) * 2 * FRAME], level_db)

    def finish(self) -> None:
        """End the audio and close the last window."""
        if self._rest:
            self.append(bytes(2 * FRAME - len(self._rest)))
        if (window := self._open_window()) is not None:
            window.closed = True

    def _add_frame(self, frame: bytes, level_db: float) -> None:
        self.samples += FRAME
        loud = level_db > max(QUIETEST_SPEECH_DB, self._floor_db + ABOVE_FLOOR_DB)
        self._floor_db = min(level_db, self._floor_db + FLOOR_RISE_DB)
        self._loud_run = self._loud_run + 1 if loud else 0
        if (window := self._open_window()) is not None:
            window.add(frame, level_db, loud=loud)
            self._close_if_due(window)
            return
        self._lead.append(frame)
        if self._loud_run >= 2:
            lead = list(self._lead)
            self.windows.append(Window(lead, self.samples - len(lead) * FRAME))
            self._lead.clear()

    def _close_if_due(self, window: Window) -> None:
        if window.at_pause():
            window.closed = True
            self._lead.extend(window.frames[-window.quiet_run :])  # the pause; it has no speech
        elif len(window.frames) >= MAX_FRAMES:
            rest = window.split()
            window.closed = True
            self.windows.append(rest)

    def _open_window(self) -> Window | None:
        last = self.windows[-1] if self.windows else None
        return None if last is None or last.closed else last
