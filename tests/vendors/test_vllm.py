"""Calls to servers of vLLM's Realtime API, with Voxtral's or Qwen3-ASR's output."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from gateway.upstream.dialects.registry import DialectName, make_dialect
from tests.vendors.calls import play
from tests.vendors.socket_loop import in_virtual_time
from tests.vendors.vllm_server import Script, serving

type Reply = list[dict[str, Any]] | int


def tokens(text: str) -> list[str]:
    """Split as a tokenizer does: words with the space before them, and special tokens."""
    return re.findall(r"\s*[^\s<>]+|<[^<>]*>|\s+", text)


def pieces(text: str) -> list[str]:
    return [text[at : at + 3] for at in range(0, len(text), 3)]


def on_a_new_line(text: str) -> list[str]:
    return tokens(text.replace("language ", "\nlanguage ", 1))


def at(number: int, reply: Reply) -> Callable[[int, int], Reply | None]:
    """Send a reply to this append of the first session."""
    return lambda session, each: reply if (session, each) == (1, number) else None


PROBLEM: Reply = [{"kind": "error", "error": "m", "code": "processing_error"}]
UNASKED: Reply = [{"kind": "transcription.done", "text": "x", "usage": {"completion_tokens": 0}}]
QWEN = {
    "header in one delta": Script(),
    "header in tokens": Script(split=tokens),
    "header in letters": Script(split=list),
    "header in pieces": Script(split=pieces),
    "header on a new line": Script(split=on_a_new_line),
    "silence without an end of the header": Script(silence="language None", split=tokens),
    "no headers": Script(headers=False, split=tokens),
    "merged deltas": Script(split=list, merged=7),
    "connection lost": Script(split=tokens, on_append=at(100, 0)),
    "restart": Script(split=tokens, on_append=at(100, 1012)),
    "idle, with an error": Script(split=tokens, idle_s=2, idle_by="error"),
    "idle, with done": Script(split=tokens, idle_s=2, idle_by="done"),
    "error": Script(split=tokens, on_append=at(100, PROBLEM)),
    "unasked done": Script(split=tokens, on_append=at(100, UNASKED)),
}
VOXTRAL = {
    "alone": Script(model="voxtral"),
    "times of segments": Script(model="voxtral", with_segments=True),
    "connection lost": Script(model="voxtral", on_append=at(300, 0)),
}
IN_TURNS = {
    "alone": Script(model="voxtral"),
    "merged deltas": Script(model="voxtral", merged=5, with_segments=True),
    "idle, with an error": Script(model="voxtral", idle_s=2, idle_by="error"),
    "idle, with done": Script(model="voxtral", idle_s=2, idle_by="done"),
}
ROWS = [
    pytest.param(dialect, script, id=f"{dialect}: {name}")
    for dialect, scripts in (("qwen3-asr", QWEN), ("voxtral", VOXTRAL), ("voxtral-turns", IN_TURNS))
    for name, script in scripts.items()
]


@pytest.mark.parametrize(("dialect", "script"), ROWS)
@in_virtual_time
async def test_each_word_arrives_once(dialect: str, script: Script) -> None:
    async with serving(script) as server:
        played = await play(server.url, make_dialect(DialectName(dialect)))
    played.assert_whole()
    assert played.took_s <= 5


@in_virtual_time
async def test_the_other_model_in_turns_of_5_s() -> None:
    """Symptom: a false pause in mid-speech, and words placed 1.7 s too late."""
    async with serving(Script(model="voxtral")) as server:
        played = await play(server.url, make_dialect(DialectName.QWEN3_ASR))
    played.assert_whole()


@in_virtual_time
async def test_a_segment_that_is_cut_loses_only_its_end() -> None:
    """The server cuts a segment after 10 words, silently."""
    async with serving(Script(split=tokens, limit=10)) as server:
        played = await play(server.url, make_dialect(DialectName.QWEN3_ASR))
    assert played.ended.reason == "carrier-stopped"
    words = [word.text for word in played.spoken]
    text = played.texts
    assert text == [word for word in words if word in set(text)]
    assert len(text) >= 0.8 * len(words)


@pytest.mark.parametrize("count", [30, 40])
@in_virtual_time
async def test_merged_deltas_do_not_repeat_words(count: int) -> None:
    """Symptom: a call was completed without a gap, and 178 words were published of 90.

    The end of the session shows that its count of deltas is not that of tokens. The rollover cuts
    one word in two.
    """
    talk = ((2, 1500), (1, 2000), (8, 1600), (count, 3000), (5, 0))
    async with serving(Script(model="voxtral", merged=4)) as server:
        played = await play(server.url, make_dialect(DialectName.VOXTRAL), talk)
    assert played.ended.reason == "carrier-stopped"
    text, words = played.texts, [word.text for word in played.spoken]
    assert list(dict.fromkeys(text)) == words
    assert len(text) <= len(words) + 1
    assert played.gaps == []
