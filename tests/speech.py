"""Recorded human speech, its text, and the error rate of a transcript.

The recordings come with the moonshine-voice package. The text of A Tale of Two Cities (Charles
Dickens, 1859) is in the public domain; the recording reads its whole first sentence.
"""

import audioop
import re
import wave

import jiwer
import numpy as np
from moonshine_voice.utils import get_assets_path

TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
    "age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was "
    "the season of Light, it was the season of Darkness, it was the spring of hope, it was the "
    "winter of despair, we had everything before us, we had nothing before us, we were all "
    "going direct to Heaven, we were all going direct the other way--in short, the period was "
    "so far like the present period, that some of its noisiest authorities insisted on its "
    "being received, for good or for evil, in the superlative degree of comparison only."
)


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Return the share of wrong words, ignoring case and punctuation."""
    return float(jiwer.wer(" ".join(plain_words(reference)), " ".join(plain_words(hypothesis))))


def plain_words(text: str) -> list[str]:
    """Return the words in lower case; hyphens and dashes separate words, apostrophes don't."""
    return re.sub(r"[^\w\s]", "", re.sub(r"[-\u2013\u2014]", " ", text.lower())).split()


def telephone_recording(name: str) -> bytes:
    """Return a recording of the package after a telephone line: PCM16, 16 kHz mono.

    Args:
        name: such as "two_cities.wav"; 16-bit mono of any rate.
    """
    narrow = recording(name, 8000).tobytes()
    line = audioop.ulaw2lin(audioop.lin2ulaw(narrow, 2), 2)
    samples = np.frombuffer(line, "<i2")
    return _resampled(samples, 2 * len(samples)).tobytes()


def recording(name: str, rate_hz: int) -> np.ndarray:
    """Return a recording of the package at another rate, 16-bit samples."""
    with wave.open(str(get_assets_path() / name)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return _resampled(samples, len(samples) * rate_hz // file.getframerate())


def _resampled(samples: np.ndarray, count: int) -> np.ndarray:
    """Change the rate of a whole recording in the frequency domain: no image, no delay."""
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(count // 2 + 1, complex)
    bins = min(len(spectrum), len(kept))
    kept[:bins] = spectrum[:bins]
    wave_form = np.fft.irfft(kept, count) * (count / len(samples))
    return np.clip(wave_form, -32768, 32767).astype("<i2")
