"""The query of Deepgram's /v1/listen: the options of a connection. Pure.

Source: deepgram-sdk 7.17, `listen/v1/client.py`; Deepgram's documentation.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from container.cpu.clock import RATE_HZ
from container.cpu.conversion import Coding

_MODEL: Final = re.compile(r"nova(-[23])?(-[a-z]+)?")
_MILLISECONDS: Final = re.compile(r"\d{1,5}")
_FORMATS: Final = {  # by encoding, sample_rate and channels
    ("linear16", "16000", "1"): (Coding.LINEAR, 16_000),
    ("mulaw", "8000", "1"): (Coding.MULAW, 8000),
    ("alaw", "8000", "1"): (Coding.ALAW, 8000),
}
# Options that are accepted; those that are not fields of `ListenOptions` change nothing here.
_FLAGS: Final = frozenset(
    {
        *("interim_results", "smart_format", "punctuate", "mip_opt_out", "numerals", "vad_events"),
        *("dictation", "profanity_filter", "filler_words", "multichannel", "diarize"),
    }
)
_REPEATED: Final = frozenset({"keyterm", "keywords", "tag", "extra"})
_NAMES: Final = (
    _FLAGS
    | _REPEATED
    | {
        *("model", "encoding", "sample_rate", "channels", "endpointing", "utterance_end_ms"),
        *("language", "version"),
    }
)


class RefusedError(Exception):
    """The query is invalid; the upgrade is refused with status 400."""


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Options of one connection.

    Attributes:
        model: its name.
        interim_results: whether interim results are sent.
        vad_events: whether `SpeechStarted` is sent before the first result of an utterance.
        endpointing_ms: silence that ends an utterance; None: no silence does.
        utterance_end_ms: gap between words after which `UtteranceEnd` is sent; None: never.
        reports_language: whether words have a language, as with `language=multi`.
        coding: how the audio is encoded.
        rate_hz: its rate.
        answers_silence: whether results without words are sent; not an option of the query.
        guesses: whether the last word of an interim result is a guess; not an option of the query.
        interpolates: as in `Rules`; not an option of the query.
    """

    model: str = "nova-3"
    interim_results: bool = False
    vad_events: bool = False
    endpointing_ms: int | None = 10
    utterance_end_ms: int | None = None
    reports_language: bool = False
    coding: Coding = Coding.LINEAR
    rate_hz: int = RATE_HZ
    answers_silence: bool = True
    guesses: bool = True
    interpolates: bool = False


def parse_query(items: Iterable[tuple[str, str]]) -> ListenOptions:
    """Return the options of a query.

    Raises:
        RefusedError: an option is unknown or invalid, or not one of this engine's audio format.
    """
    given: dict[str, str] = {}
    for name, value in items:
        if name not in _NAMES:
            raise RefusedError(f"unknown option {name}")
        if name in given and name not in _REPEATED:
            raise RefusedError(f"{name} is given twice")
        given[name] = value
    if not _MODEL.fullmatch(given.get("model", "")):
        raise RefusedError("no such model")
    named = given.get("encoding", ""), given.get("sample_rate", ""), given.get("channels", "1")
    form = _FORMATS.get(named)
    if form is None:
        raise RefusedError("this engine needs linear16 at 16000 Hz, or mulaw or alaw at 8000 Hz")
    if any(given[name] not in ("true", "false") for name in _FLAGS & given.keys()):
        raise RefusedError("a flag is neither true nor false")
    if "true" in (given.get("multichannel"), given.get("diarize")):
        raise RefusedError("this engine can't separate channels or speakers")
    interim = given.get("interim_results") == "true"
    utterance_end_ms = _milliseconds(given, "utterance_end_ms", None)
    if utterance_end_ms is not None and not (interim and utterance_end_ms >= 1000):
        raise RefusedError("utterance_end_ms must be at least 1000, with interim_results")
    return ListenOptions(
        model=given["model"],
        interim_results=interim,
        vad_events=given.get("vad_events") == "true",
        endpointing_ms=_milliseconds(given, "endpointing", 10),
        utterance_end_ms=utterance_end_ms,
        reports_language=given.get("language") == "multi",
        coding=form[0],
        rate_hz=form[1],
    )


def _milliseconds(given: dict[str, str], name: str, default: int | None) -> int | None:
    value = given.get(name)
    if value is None:
        return default
    if name == "endpointing" and value == "false":
        return None
    if not _MILLISECONDS.fullmatch(value):
        raise RefusedError(f"{name} is no number")
    return int(value)
