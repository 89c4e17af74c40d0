"""The audit accepts every correct stream, and reports lost, repeated and altered audio."""

import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.audit import Account, account, noise
from cli.audit_coverage import CHUNK_MS, expected_pcm, g711_pcm, pcm_of_24_khz

LENGTH_MS = 1640  # twenty chunks and a half
AUDIO = noise(1, LENGTH_MS)
PCM = expected_pcm(AUDIO, flush=True)


def checksum(*spans: tuple[int, int], pcm: bytes = PCM) -> str:
    """Return the engine's text for these spans, joined together."""
    return f"{zlib.crc32(b''.join(pcm[32 * start : 32 * end] for start, end in spans)):08x}"


class Story:
    """The events of one stream, as a gateway writes them."""

    def __init__(
        self, pcm: bytes = PCM, track: str = "inbound", length_ms: int = LENGTH_MS
    ) -> None:
        self.events: list[dict[str, str]] = []
        self.epoch = 1000
        self.finals = self.gap_ms = self.segment = 0
        self._pcm = pcm
        self._track = track
        self._length_ms = length_ms
        self.add("stream.started")

    def add(self, kind: str, **fields: object) -> None:
        n = 1 + sum(event["epoch"] == str(self.epoch) for event in self.events)
        common = {"type": kind, "epoch": str(self.epoch), "n": str(n)}
        self.events.append(common | {name: str(value) for name, value in fields.items()})

    def text(self, kind: str, text: str, start: int, end: int, rev: int = 0) -> None:
        segment = {"track": self._track, "segment": self.segment, "rev": rev}
        self.add(kind, **segment, text=text, start_ms=start, end_ms=end)

    def say(self, start: int, end: int, *, rev: int = 0, words: list[str] | None = None) -> None:
        """Write the deltas of a revision for a span, 80 ms each; silence has none."""
        for at in range(start, end, CHUNK_MS):
            upto = min(at + CHUNK_MS, end)
            audio = self._pcm[32 * at : 32 * upto] + (
                self._pcm[32 * upto :][: 32 * (at + CHUNK_MS - upto)]
                if upto == self._length_ms
                else b""
            )
            if any(audio):
                word = f"{zlib.crc32(audio):08x}"
                self.text("transcript.delta", " " * bool(words) + word, at, upto, rev)
                if words is not None:
                    words.append(word)

    def utter(self, start: int, end: int, *, replayed_ms: int | None = None) -> None:
        """Write a whole segment, optionally begun by a session that failed."""
        self.segment += 1
        if replayed_ms is not None:
            self.say(start, start + replayed_ms)
        words: list[str] = []
        rev = int(replayed_ms is not None)
        self.say(start, end, rev=rev, words=words)
        if words:
            self.text("transcript.final", " ".join(words), start, end, rev)
            self.finals += 1
        else:
            self.segment -= 1

    def gap(self, start: int, end: int, cause: str = "reconnect") -> None:
        self.add("transcript.gap", track=self._track, from_ms=start, to_ms=end, cause=cause)
        self.gap_ms += end - start

    def end(self, status: str = "completed", duration_ms: int | None = None) -> None:
        sums = {"segments": self.finals, "gap_ms": self.gap_ms, "reason": "carrier-stopped"}
        duration_ms = self._length_ms if duration_ms is None else duration_ms
        self.add("stream.ended", status=status, duration_ms=duration_ms, **sums)

    def take_over(self) -> None:
        self.epoch += 1
        self.finals = self.gap_ms = self.segment = 0

    def account(self, audio: bytes = AUDIO) -> Account:
        return account(self.events, {self._track: audio})


def test_complete_stream_is_whole() -> None:
    story = Story()
    story.utter(0, 800)
    story.utter(800, LENGTH_MS)
    story.end()
    assert story.account() == Account(audio_ms=LENGTH_MS, transcribed_ms=LENGTH_MS)
    assert story.account().whole


def test_audio_after_the_duration_is_not_counted() -> None:
    story = Story()
    story.utter(0, 800)
    story.end(duration_ms=800)
    assert story.account() == Account(audio_ms=800, transcribed_ms=800)


def test_replay_with_other_token_boundaries_supersedes() -> None:
    story = Story()
    story.utter(0, 200)  # a session that ended here
    story.utter(200, LENGTH_MS, replayed_ms=560)
    story.end()
    assert story.account() == Account(audio_ms=LENGTH_MS, transcribed_ms=LENGTH_MS)


def test_silence_needs_no_text() -> None:
    audio = noise(2, 400) + b"\xff" * 3200 + noise(3, 400)
    story = Story(expected_pcm(audio, flush=True), length_ms=1200)
    story.utter(0, 480)
    story.utter(720, 1200)
    story.end()
    assert story.account(audio) == Account(audio_ms=1200, transcribed_ms=1200)


@pytest.mark.parametrize("heard", [bytes, g711_pcm, pcm_of_24_khz])
def test_a_turn_has_silence_after_its_speech(heard: Callable[[bytes], bytes]) -> None:
    """The filter rings there, so it may have a word after the end of the final, but only one."""
    audio = noise(2, 400) + b"\xff" * 3200 + noise(3, 400)
    pcm = heard(expected_pcm(audio, flush=True))
    turns = ((0, 800), (800, 1200 + CHUNK_MS))
    for repeats in (1, 2):
        story = Story(length_ms=1200)
        for start, end in turns:
            chunks = (pcm[32 * at : 32 * (at + CHUNK_MS)] for at in range(start, end, CHUNK_MS))
            words = [f"{zlib.crc32(chunk):08x}" for chunk in chunks if any(chunk)]
            words += words[-1:] * (repeats - 1)
            story.segment += 1
            story.finals += 1
            stop = start + 400
            story.text("transcript.delta", " ".join(words), start, stop)
            story.text("transcript.final", " ".join(words), start, stop)
        story.end()
        found = account(story.events, {"inbound": audio}, exact=False)
        assert found == Account(1200, 1200, wrong_ms=2 * CHUNK_MS * (repeats - 1))


def test_a_token_may_span_a_gap() -> None:
    story = Story()
    story.utter(0, 40)
    story.segment += 1
    word = checksum((40, 100), (500, 520))
    story.text("transcript.delta", word, 40, 520)
    story.text("transcript.final", word, 40, 520)
    story.finals += 1
    story.gap(100, 500, "backpressure")
    story.utter(520, LENGTH_MS)
    story.end()
    assert story.account() == Account(LENGTH_MS, LENGTH_MS - 400, 400)


def test_model_receives_silence_for_lost_frames() -> None:
    sent = bytearray(AUDIO)
    sent[8 * 300 : 8 * 400] = b"\xff" * 800
    story = Story(expected_pcm(bytes(sent), flush=True))
    story.gap(300, 400, "carrier_loss")
    story.utter(0, LENGTH_MS)
    story.end()
    assert story.account() == Account(LENGTH_MS, LENGTH_MS - 100, 100)


@pytest.mark.parametrize("length_ms", [78, 80, 158, 160, 161])
def test_filter_tail_is_part_of_the_last_token_or_a_token(length_ms: int) -> None:
    pcm = expected_pcm(AUDIO[: 8 * length_ms], flush=True)
    story = Story(pcm, length_ms=length_ms)
    words = [f"{zlib.crc32(pcm[at : at + 2560]):08x}" for at in range(0, len(pcm), 2560)]
    story.segment = story.finals = 1
    for number, word in enumerate(words):
        start, end = number * CHUNK_MS, (number + 1) * CHUNK_MS
        text = " " * bool(number) + word
        story.text("transcript.delta", text, min(start, length_ms), min(end, length_ms))
    story.text("transcript.final", " ".join(words), 0, length_ms)
    story.end()
    assert story.account() == Account(length_ms, length_ms)


def test_takeover_starts_with_a_fresh_filter() -> None:
    story = Story()
    story.segment = 1
    story.say(0, 320)  # then its gateway was lost
    story.take_over()
    fresh = Story(bytes(32 * 320) + expected_pcm(AUDIO[8 * 320 :], flush=True))
    fresh.utter(320, LENGTH_MS)
    for event in fresh.events:
        story.events.append(event | {"epoch": str(story.epoch)})
    story.finals = fresh.finals
    story.end()
    assert story.account() == Account(LENGTH_MS, LENGTH_MS)


def lost_and_resumed() -> Story:
    """Return a stream whose gateway stalled: closed by a janitor, then resumed."""
    story = Story()
    story.utter(0, 400)
    story.gap(400, 480)
    story.segment += 1
    words: list[str] = []
    story.say(480, 800, words=words)
    story.epoch += 1
    story.end("lost", duration_ms=800)
    story.epoch += 1
    story.add("stream.started", resumes=story.epoch - 2)
    story.say(800, LENGTH_MS, words=words)
    story.text("transcript.final", " ".join(words), 480, LENGTH_MS)
    story.finals += 1
    story.end()
    return story


def test_resumed_stream_is_whole() -> None:
    found = lost_and_resumed().account()
    assert found == Account(LENGTH_MS, LENGTH_MS - 80, 80)


def test_resumed_stream_may_be_lost_again() -> None:
    story = lost_and_resumed()
    del story.events[-1]
    story.epoch += 1
    story.end("lost")
    assert story.account() == Account(LENGTH_MS, LENGTH_MS - 80, 80)


def test_resuming_an_unknown_epoch_is_a_problem() -> None:
    story = lost_and_resumed()
    resumed = next(event for event in story.events if "resumes" in event)
    resumed["resumes"] = "7"
    assert f"epoch {story.epoch} resumes 7" in story.account().problems


def test_start_after_a_completed_end_is_a_problem() -> None:
    story = Story()
    story.utter(0, LENGTH_MS)
    story.end()
    story.epoch += 1
    story.add("stream.started")
    assert "stream.started after end" in story.account().problems


def test_text_of_a_lost_gateway_counts() -> None:
    story = Story()
    story.segment = 1
    story.say(0, 800)
    story.take_over()
    story.end("lost", duration_ms=960)  # of the other track
    assert story.account() == Account(800, 800)


def test_janitor_reports_counts_of_the_lost_gateway() -> None:
    story = Story()
    story.utter(0, 800)
    story.gap(800, 960)
    finals, gap_ms = story.finals, story.gap_ms
    story.take_over()
    story.finals, story.gap_ms = finals, gap_ms
    story.end("lost", duration_ms=960)
    assert story.account() == Account(960, 800, 160)
    story.events[-1]["segments"] = "0"
    assert story.account().problems == ("stream.ended says segments 0, there were 1",)


def shed(story: Story, *, every: int) -> None:
    """Shed deltas as a gateway does when its buffer is full: before they are numbered."""
    deltas = [event for event in story.events if event["type"] == "transcript.delta"]
    for event in deltas[::every]:
        story.events.remove(event)
    for number, event in enumerate(story.events, start=1):
        event["n"] = str(number)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_finals_count_without_their_deltas(every: int) -> None:
    audio = noise(2, 400) + b"\xff" * 3200 + noise(3, 400)
    story = Story(expected_pcm(audio, flush=True), length_ms=1200)
    story.utter(0, 1200)
    story.end()
    shed(story, every=every)
    found = story.account(audio)
    assert found.whole
    assert found.transcribed_ms == 1200
    assert found.shed_deltas > 0


def whole() -> Story:
    """Return a stream with one gap between two utterances."""
    story = Story()
    story.utter(0, 800)
    story.gap(800, 960)
    story.utter(960, LENGTH_MS, replayed_ms=80)
    story.end()
    return story


def index(story: Story, kind: str, which: int = 0) -> int:
    return [at for at, event in enumerate(story.events) if event["type"] == kind][which]


def without(kind: str, which: int = 0) -> Callable[[Story], None]:
    return lambda story: story.events.__delitem__(index(story, kind, which))


def again(kind: str, which: int = 0) -> Callable[[Story], None]:
    """Publish an event twice, each with its own n."""

    def change(story: Story) -> None:
        at = index(story, kind, which)
        story.events.insert(at, dict(story.events[at]))
        for n, event in enumerate(story.events, start=1):
            event["n"] = str(n)

    return change


def with_field(kind: str, which: int = 0, **fields: str) -> Callable[[Story], None]:
    return lambda story: story.events[index(story, kind, which)].update(fields)


def after_the_end(story: Story) -> None:
    story.add("stream.dtmf")


def an_older_epoch(story: Story) -> None:
    story.events.insert(-1, {"type": "stream.dtmf", "epoch": "999", "n": "1"})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("stream.started"), "n 2 after 0 in epoch 1000"),
        (without("transcript.delta", 3), "n 6 after 4 in epoch 1000"),
        (without("stream.ended"), "never ended"),
        (without("transcript.final", 1), "inbound 2: never closed"),
        (again("stream.ended"), "ended twice"),
        (again("transcript.final"), "inbound 1: final repeated"),
        (again("transcript.delta"), "inbound 1: deltas do not make its final"),
        (again("transcript.gap"), "inbound: 160 ms declared missing twice"),
        (after_the_end, "stream.dtmf after end"),
        (an_older_epoch, "epoch 999 after 1000"),
        (with_field("transcript.final", 1, rev="0"), "inbound 2: final of an earlier revision"),
        (with_field("transcript.delta", 2, text=" x"), "inbound 1: deltas do not make its final"),
        (with_field("transcript.delta", -1, segment="1"), "inbound 1: delta after its final"),
        (with_field("stream.ended", gap_ms="80"), "stream.ended says gap_ms 80, there were 160"),
        (with_field("stream.ended", segments="1"), "stream.ended says segments 1, there were 2"),
        (with_field("transcript.gap", track="x"), "x: no such track was sent"),
    ],
)
def test_contract_violation_is_reported(change: Callable[[Story], None], problem: str) -> None:
    story = whole()
    assert story.account().whole
    change(story)
    found = story.account()
    assert problem in found.problems
    assert not found.whole


def test_lost_audio_is_unaccounted_for() -> None:
    story = Story()
    story.utter(0, 800)
    story.utter(880, LENGTH_MS)
    story.end()
    assert story.account() == Account(LENGTH_MS, LENGTH_MS - 80, unaccounted_ms=80)


def test_repeated_text_is_duplicated() -> None:
    story = Story()
    story.utter(0, 800)
    story.utter(640, LENGTH_MS)
    story.end()
    assert story.account() == Account(LENGTH_MS, LENGTH_MS, duplicated_ms=160)


def test_text_in_a_gap_is_duplicated() -> None:
    story = Story()
    story.utter(0, LENGTH_MS)
    story.gap(80, 240)
    story.end()
    assert story.account() == Account(LENGTH_MS, LENGTH_MS - 160, 160, duplicated_ms=160)


def test_gap_over_published_text_is_a_problem() -> None:
    """A replay had less text than the revision before it, and the rest was declared missing."""
    story = Story()
    story.utter(0, 400, replayed_ms=800)
    story.gap(400, LENGTH_MS)
    story.end()
    assert story.account().problems == ("inbound: 400 ms were published, then declared missing",)


def test_text_at_the_wrong_time_is_wrong() -> None:
    story = Story()
    story.utter(0, LENGTH_MS)
    story.end()
    for event in story.events:
        if "start_ms" in event and event["start_ms"] == "160":
            event["start_ms"], event["end_ms"] = "240", "320"
    found = story.account()
    assert (found.wrong_ms, found.unaccounted_ms) == (80, 80)


def test_text_of_altered_audio_is_wrong() -> None:
    altered = bytearray(AUDIO)
    altered[8 * 340] ^= 0x80
    story = Story()
    story.utter(0, LENGTH_MS)
    story.end()
    found = story.account(bytes(altered))
    assert (found.wrong_ms, found.unaccounted_ms, found.problems) == (80, 80, ())


def test_audio_after_the_last_text_is_unaccounted_for() -> None:
    story = Story()
    story.utter(0, LENGTH_MS - 40)
    story.end()
    assert story.account().unaccounted_ms == 40


@pytest.mark.parametrize(("reason", "unaccounted_ms"), [("carrier-stopped", 20), ("other", 0)])
def test_disconnected_carrier_may_omit_one_track_s_last_frame(
    reason: str, unaccounted_ms: int
) -> None:
    both = Story()
    both.utter(0, LENGTH_MS)
    short = Story(expected_pcm(AUDIO[: 8 * 1620], flush=True), "outbound", 1620)
    short.utter(0, 1620)
    both.events += short.events[1:]
    both.finals = 2
    both.end()
    for n, event in enumerate(both.events, start=1):
        event["n"] = str(n)
    both.events[-1]["reason"] = reason
    found = account(both.events, {"inbound": AUDIO, "outbound": AUDIO})
    assert found.unaccounted_ms == unaccounted_ms
    assert found.problems == ()


class TestEstimatedTimes:
    """The words of a server without times, up to 500 ms late."""

    def account(self, *utterances: tuple[list[tuple[int, int]], int, int]) -> Account:
        """Account for finals: for each, the audio of its words, and its position."""
        story = Story()
        for spans, start_ms, end_ms in utterances:
            story.segment += 1
            text = " ".join(map(checksum, spans))
            story.text("transcript.final", text, start_ms, end_ms)
            story.finals += 1
        story.end()
        return account(story.events, {"inbound": AUDIO}, exact=False, slack_ms=500)

    @staticmethod
    def words(from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        return [(at, at + CHUNK_MS) for at in range(from_ms, to_ms, CHUNK_MS)]

    @pytest.mark.parametrize("from_ms", [0, 20, 33])
    def test_words_may_begin_anywhere(self, from_ms: int) -> None:
        found = self.account((self.words(from_ms, 1600), 500, 2100))
        assert (found.wrong_ms, found.duplicated_ms) == (0, 0)
        assert found.unaccounted_ms == LENGTH_MS - len(self.words(from_ms, 1600)) * CHUNK_MS

    def test_words_that_are_too_late_are_wrong(self) -> None:
        assert self.account((self.words(0, 800), 600, 1400)).wrong_ms == 2 * CHUNK_MS

    def test_gaps_do_not_make_words_too_late(self) -> None:
        story = Story()
        story.segment = story.finals = 1
        story.gap(800, 1600)
        text = " ".join(map(checksum, self.words(0, 800)))
        story.text("transcript.final", text, 1100, 1600)
        story.end()
        found = account(story.events, {"inbound": AUDIO}, exact=False, slack_ms=800)
        assert found.wrong_ms == 0
        assert account(story.events, {"inbound": AUDIO}, exact=False, slack_ms=700).wrong_ms == 160

    def test_the_last_word_of_a_session_may_be_short(self) -> None:
        words = [*self.words(0, 800), (800, 840), *self.words(840, 1640)]
        found = self.account((words, 0, 1640))
        assert (found.wrong_ms, found.unaccounted_ms, found.duplicated_ms) == (0, 0, 0)

    def test_lost_words_are_unaccounted_for(self) -> None:
        found = self.account((self.words(0, 800), 0, 800), (self.words(960, 1600), 900, 1600))
        assert found.unaccounted_ms == 160 + 40

    def test_repeated_words_are_duplicated(self) -> None:
        found = self.account((self.words(0, 800), 0, 800), (self.words(640, 1600), 700, 1600))
        assert found.duplicated_ms == 160

    def test_words_in_another_order_are_wrong(self) -> None:
        first, second, *rest = self.words(0, 1600)
        assert self.account(([second, first, *rest], 0, 1600)).wrong_ms == CHUNK_MS

    def test_padding_completes_a_word(self) -> None:
        story = Story()
        story.segment = story.finals = 1
        word = f"{zlib.crc32(PCM[32 * 1600 : 32 * 1640].ljust(2560, bytes(1))):08x}"
        text = " ".join([*map(checksum, self.words(0, 1600)), word])
        story.text("transcript.final", text, 0, 1640)
        story.end()
        found = account(story.events, {"inbound": AUDIO}, exact=False, slack_ms=500)
        assert (found.wrong_ms, found.unaccounted_ms) == (0, 0)


def test_empty_stream_has_no_audio() -> None:
    story = Story(length_ms=0)
    story.end()
    assert story.account() == Account()
    assert account([], {"inbound": AUDIO}).unaccounted_ms == LENGTH_MS


def test_accounts_are_added() -> None:
    one = Account(8, 5, 2, 1, 1, 1, 1, ("a",))
    assert one + one == Account(16, 10, 4, 2, 2, 2, 2, ("a", "a"))


CUTS = st.lists(st.integers(1, LENGTH_MS - 1), max_size=8, unique=True).map(sorted)


@given(CUTS, st.data())
def test_any_correct_stream_is_whole_and_losses_are_counted(
    cuts: list[int], data: st.DataObject
) -> None:
    """Each millisecond is counted as intended, for any sequence of utterances, replays and gaps."""
    story, lost_ms, gap_ms = Story(), 0, 0
    for start, end in pairwise([0, *cuts, LENGTH_MS]):
        fate = data.draw(st.sampled_from(["transcribed", "transcribed", "replayed", "gap", "lost"]))
        match fate:
            case "transcribed":
                story.utter(start, end)
            case "replayed":
                story.utter(start, end, replayed_ms=data.draw(st.integers(0, end - start)))
            case "gap":
                story.gap(start, end)
                gap_ms += end - start
            case _:
                lost_ms += end - start
    story.end()
    found = story.account()
    assert found == Account(LENGTH_MS, LENGTH_MS - gap_ms - lost_ms, gap_ms, lost_ms)
