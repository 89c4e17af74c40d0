"""A session's queue and generations, tested without a socket."""

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu.checksum import ChecksumTranscription
from container.cpu.clock import TokenClock
from container.cpu.generation import Rules
from container.cpu.server_session import BacklogError, Phase
from container.cpu.session import RealtimeSession

RULES = Rules("m", TokenClock(480), max_model_len=139, max_backlog_s=60)  # 100 deltas


def message(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def append(pcm: bytes) -> str:
    return message("input_audio_buffer.append", audio=pybase64.b64encode(pcm).decode())


UPDATE = message("session.update", model="m")
COMMIT = message("input_audio_buffer.commit")
FINAL = message("input_audio_buffer.commit", final=True)


class Client:
    """Sends messages to a session; a slot is always free."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.session = RealtimeSession(rules)

    def send(self, *texts: str) -> list[dict[str, Any]]:
        replies = []
        for text in texts:
            replies += self.session.receive(text)
            if self.session.phase is Phase.WAITING:
                replies += self.session.begin(ChecksumTranscription())
        return [json.loads(reply) for reply in replies]


def summary(replies: list[dict[str, Any]]) -> list[str | int]:
    """Summarize replies: a number for consecutive deltas, else the type or error code."""
    short: list[str | int] = []
    for reply in replies:
        if reply["type"] != "transcription.delta":
            short.append(reply.get("code") or reply["type"].removeprefix("transcription."))
        elif short and isinstance(short[-1], int):
            short[-1] += 1
        else:
            short.append(1)
    return short


SECOND = append(bytes(32_000))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([UPDATE], []),
        ([COMMIT], ["model_not_validated"]),
        ([FINAL], ["model_not_validated"]),
        ([UPDATE, COMMIT, SECOND], [6]),
        ([UPDATE, COMMIT, SECOND, FINAL], [23, "done"]),
        ([SECOND, UPDATE, COMMIT, FINAL], [23, "done"]),  # audio before the commit is kept
        ([UPDATE, COMMIT, COMMIT, SECOND, COMMIT, FINAL], [23, "done"]),  # one at a time
        ([UPDATE, COMMIT, FINAL], ["done"]),
        ([UPDATE, FINAL, COMMIT], ["done"]),  # the earlier final commit ends it
        ([UPDATE, FINAL, SECOND, COMMIT], ["done"]),  # and queued audio is discarded
        ([UPDATE, FINAL, SECOND, COMMIT, COMMIT, FINAL], ["done", "done"]),
        ([UPDATE, COMMIT, SECOND, FINAL, FINAL, COMMIT], [23, "done", "done"]),
        ([UPDATE, COMMIT, SECOND, FINAL, SECOND], [23, "done"]),  # waits for the next commit
        ([UPDATE, COMMIT, SECOND, FINAL, SECOND, COMMIT, FINAL], [23, "done", 23, "done"]),
    ],
)
def test_commits_start_and_end_generations(texts: list[str], expected: list[str | int]) -> None:
    assert summary(Client().send(*texts)) == expected


@pytest.mark.parametrize("samples", [1, 1279, 1280, 8999, 9000, 9001, 16_000, 32_000])
def test_usage_counts_the_deltas(samples: int) -> None:
    *deltas, done = Client().send(UPDATE, COMMIT, append(bytes(2 * samples)), FINAL)
    assert done["usage"] == {
        "prompt_tokens": 39,
        "total_tokens": 39 + len(deltas),
        "completion_tokens": len(deltas),
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    assert len(deltas) == RULES.clock.total(samples)


def test_usage_without_audio_is_zero() -> None:
    (done,) = Client().send(UPDATE, COMMIT, FINAL)
    assert (done["text"], done["usage"]["total_tokens"]) == ("", 0)
    assert done["usage"]["prompt_tokens"] == 0


def test_a_full_context_ends_a_generation_without_a_commit() -> None:
    client = Client()
    full = RULES.clock.samples_for(RULES.max_deltas)
    assert summary(client.send(UPDATE, COMMIT, append(bytes(2 * (full - 1))))) == [99]
    assert summary(client.send(append(bytes(20_000)))) == [1, "done"]
    assert summary(client.send(SECOND)) == []
    assert summary(client.send(COMMIT)) == [6]  # later audio was queued until the commit


def test_padding_is_cut_at_the_end_of_the_context() -> None:
    nearly = RULES.clock.samples_for(RULES.max_deltas - 1)
    replies = Client().send(UPDATE, COMMIT, append(bytes(2 * nearly)), FINAL)
    assert summary(replies) == [100, "done"]


@given(st.binary(min_size=2, max_size=60_000), st.lists(st.integers(1, 9000), max_size=20))
def test_checksums_do_not_depend_on_the_sizes_of_chunks(pcm: bytes, sizes: list[int]) -> None:
    pcm = pcm[: len(pcm) // 2 * 2]
    pieces, rest = [], pcm
    for size in sizes:
        pieces.append(rest[: 2 * size])
        rest = rest[2 * size :]
    pieces = [piece for piece in (*pieces, rest) if piece]
    replies = Client().send(UPDATE, COMMIT, *map(append, pieces), FINAL)
    texts = [reply["delta"] for reply in replies[:-1]]
    chunks = [pcm[begin : begin + 2560] for begin in range(0, len(pcm), 2560)]
    sums = [f" {zlib.crc32(chunk):08x}" if any(chunk) else "" for chunk in chunks]
    assert texts[: len(chunks)] == sums
    assert not any(texts[len(chunks) :])
    assert replies[-1]["text"] == "".join(texts)


@given(st.lists(st.sampled_from([UPDATE, COMMIT, FINAL, SECOND, "{}", ""]), max_size=30))
def test_done_is_sent_at_most_once_per_commit(texts: list[str]) -> None:
    replies = Client().send(*texts)
    assert sum(reply["type"] == "transcription.done" for reply in replies) <= texts.count(COMMIT)


def test_a_session_queues_all_messages_until_it_has_a_slot() -> None:
    session = RealtimeSession(RULES)
    for text in (UPDATE, COMMIT, SECOND, SECOND, FINAL, SECOND):
        assert session.receive(text) == []
    replies = [json.loads(reply) for reply in session.begin(ChecksumTranscription())]
    assert summary(replies) == [35, "done"]
    assert session.phase is Phase.IDLE


@pytest.mark.parametrize("opening", [[], [UPDATE, COMMIT]])
def test_backlog_is_bounded(opening: list[str]) -> None:
    session = RealtimeSession(RULES)
    for text in (*opening, *[SECOND] * 60):
        session.receive(text)
    with pytest.raises(BacklogError):
        session.receive(SECOND)


@dataclass
class LateTranscription:
    """A transcription whose progress the test controls."""

    confirmed: int = 0
    finished: bool = False
    words: list[str] = field(default_factory=list)
    abandoned: bool = False

    def append(self, pcm: bytes) -> None:
        """Make no progress."""

    def finish(self) -> None:
        """Make no progress."""

    def next_text(self, *, last: bool) -> str:
        taken = self.words if last else self.words[:1]
        self.words = self.words[len(taken) :]
        return "".join(taken)

    def abandon(self) -> None:
        self.abandoned = True


def late_session(*texts: str) -> tuple[RealtimeSession, LateTranscription]:
    session, late = RealtimeSession(RULES), LateTranscription()
    for text in (UPDATE, COMMIT):
        session.receive(text)
    session.begin(late)
    for text in texts:
        assert session.receive(text) == []
    return session, late


def test_deltas_wait_for_a_model_that_is_behind() -> None:
    session, late = late_session(SECOND)
    late.confirmed = 9000
    assert len(session.progress()) == 1
    late.confirmed = 16_000
    assert len(session.progress()) == 5


def test_the_last_delta_waits_for_the_end_of_the_transcription() -> None:
    session, late = late_session(SECOND, FINAL)
    late.confirmed = 16_000
    assert len(session.progress()) == 6  # no padding yet
    late.words = [f" {number}" for number in range(30)]
    late.finished = True
    replies = [json.loads(reply) for reply in session.progress()]
    assert summary(replies) == [17, "done"]
    assert replies[-1]["text"] == "".join(f" {number}" for number in range(30))


def test_giving_up_sends_an_error_and_ends_the_generation() -> None:
    session, late = late_session(SECOND, FINAL)
    late.words = [" word"]
    replies = [json.loads(reply) for reply in session.fail()]
    assert summary(replies) == ["processing_error", 23, "done"]
    assert replies[-1]["text"] == " word"
    assert late.abandoned


def test_giving_up_requires_a_draining_generation() -> None:
    session, _ = late_session(SECOND)
    assert session.fail() == []


def test_an_abandoned_session_abandons_its_transcription() -> None:
    session, late = late_session(SECOND)
    session.abandon()
    assert late.abandoned
    assert session.phase is Phase.IDLE
