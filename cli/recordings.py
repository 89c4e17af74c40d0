"""Recorded human speech to play when no WAV is given; it comes with the speech model's package."""

from importlib.util import find_spec
from pathlib import Path

from cli.errors import CommandError


def two_cities() -> Path:
    """One reader: the opening of A Tale of Two Cities, 44 s."""
    return _recording("two_cities.wav")


def nagg_and_nell() -> Path:
    """Two speakers, from Endgame."""
    return _recording("endgame_nagg_nell.wav")


def _recording(name: str) -> Path:
    spec = find_spec("moonshine_voice")  # importing it would load the model's library
    if not spec or not spec.origin:
        raise CommandError("the recordings are missing: package moonshine-voice is not installed")
    return Path(spec.origin).parent / "assets" / name
