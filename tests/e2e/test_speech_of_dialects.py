"""Recorded speech through the whole path to a server of each protocol other than vLLM's."""

import pytest

from cli import demo, recordings
from cli.callers.twilio import Twilio
from cli.recordings import read_mulaw
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from tests.e2e import test_deepgram, test_mistral, test_openai
from tests.speech import TWO_CITIES, plain_words, word_error_rate

# The beginning of the recording, up to a pause.
BEGINNING = TWO_CITIES[: TWO_CITIES.index(", it was the spring of hope")]
LENGTH_S = 17
WRONG_WORDS = 4  # of the 48; the model alone has 3

MODEL = "moonshine"
NO_SEGMENTS = {"ENGINE_MISTRAL_SEGMENTS": "false"}
STACKS = {
    "openai-streaming": lambda: test_openai.settings("openai", "streaming", MODEL),
    "openai-items": lambda: test_openai.settings("openai", "items", MODEL),
    "deepgram": lambda: test_deepgram.settings(MODEL),
    "mistral-segments": lambda: test_mistral.settings(MODEL),
    "mistral-turns": lambda: test_mistral.settings(MODEL, NO_SEGMENTS),
    "mistral-neither": lambda: test_mistral.settings(
        MODEL, {**NO_SEGMENTS, "ENGINE_MISTRAL_TURNS": "false"}
    ),
}


# The others differ from one of these only in how a text ends.
ALWAYS = ("openai-streaming", "deepgram", "mistral-segments")
OTHERS = [pytest.param(name, marks=pytest.mark.long) for name in STACKS if name not in ALWAYS]


@pytest.mark.speech
@pytest.mark.parametrize("name", [*ALWAYS, *OTHERS])
async def test_speech_loses_and_repeats_no_words(name: str) -> None:
    tracks = {"inbound": read_mulaw(recordings.two_cities())[: 8000 * LENGTH_S]}
    async with local.running(STACKS[name]()) as stack:
        result = await demo.play(stack, Twilio(CREDENTIALS), tracks)
    report = demo.report(result)
    assert (report["status"], report["gap_ms"], result.transcript.missing) == ("completed", 0, 0)
    text = " ".join(segment.text for segment in result.transcript.segments)
    wrong = round(word_error_rate(BEGINNING, text) * len(plain_words(BEGINNING)))
    print(f"{name}: {wrong} of {len(plain_words(BEGINNING))} words are wrong")  # noqa: T201 - shown with -s
    assert wrong <= WRONG_WORDS
    assert plain_words(text)[-3:] == plain_words(BEGINNING)[-3:]
