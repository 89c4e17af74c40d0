"""Call Moonshine's C library: PCM in, words out. Calls block; the library releases the GIL.

The package's own `Transcriber` needs the samples as a Python list, which takes as long as a short
inference and holds the GIL. This module therefore calls the library directly, with two handles:

 - One transcribes without the library's voice detection, because transcribing a whole window gives
   fewer errors than transcribing its pieces.
 - One only detects voice, because the model outputs words for noise ("You").

Measured on one core: transcription takes 0.05 s to 0.09 s per second of the window, detection
0.015 s. The weights take 140 MB and are shared by all tracks.
"""

import ctypes

import numpy as np
from moonshine_voice.moonshine_api import (
    MOONSHINE_HEADER_VERSION,
    ModelArch,
    TranscriptC,
    _MoonshineLib,  # the package has no public way to its library
    moonshine_options_array,
)
from moonshine_voice.utils import get_model_path

from container.cpu.agreement import words_of

_RATE_HZ = 16_000
_FLOATS = ctypes.POINTER(ctypes.c_float)
# A threshold of 0.3 detects a word of 0.15 s; 0.1 also detects line noise, DTMF and hum.
_VOICE = "0.3"
_SILENCE = np.zeros(int(0.4 * _RATE_HZ), np.float32)


class ModelError(Exception):
    """A call of the library failed. Its state is undefined, so it must not be called again."""


class MoonshineModel:
    """The English "tiny" model, whose weights are in the wheel. Not thread-safe."""

    def __init__(self) -> None:
        self._lib = _MoonshineLib().lib
        self._speech = self._load({"vad_threshold": "0"})
        self._detector = self._load({"skip_transcription": "true", "vad_threshold": _VOICE})

    def words(self, pcm: bytes) -> list[str]:
        """Transcribe PCM16 little-endian, 16 kHz mono; return no words if no voice is detected.

        Raises:
            ModelError: the library failed.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0
        # The detector keeps state between calls. Without the silence, speech at the end of one call
        # would be detected again in the next.
        if not self._lines(self._detector, np.append(samples, _SILENCE)):
            return []
        return words_of(" ".join(self._lines(self._speech, samples)))

    def close(self) -> None:
        """Free the weights."""
        self._lib.moonshine_free_transcriber(self._speech)
        self._lib.moonshine_free_transcriber(self._detector)

    def _load(self, options: dict[str, str | int | float | bool]) -> int:
        array, count, _keepalive = moonshine_options_array(
            {**options, "return_audio_data": "false"}
        )
        path = str(get_model_path("tiny-en")).encode()
        handle: int = self._lib.moonshine_load_transcriber_from_files(
            path, ModelArch.TINY, array, count, MOONSHINE_HEADER_VERSION
        )
        if handle < 0:
            raise ModelError(f"could not be loaded: error {handle}")
        return handle

    def _lines(self, handle: int, samples: np.ndarray) -> list[str]:
        """Return one text per stretch of voice; texts are empty if the handle only detects."""
        transcript = ctypes.POINTER(TranscriptC)()
        error = self._lib.moonshine_transcribe_without_streaming(
            handle,
            samples.ctypes.data_as(_FLOATS),
            len(samples),
            _RATE_HZ,
            0,
            ctypes.byref(transcript),
        )
        if error:
            raise ModelError(f"transcription failed: error {error}")
        if not transcript:
            return []
        lines = transcript.contents.lines[: transcript.contents.line_count]
        return [
            ctypes.string_at(line.text).decode(errors="ignore") if line.text else ""
            for line in lines
        ]
