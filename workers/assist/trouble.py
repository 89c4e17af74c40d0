"""The kind of rules about failures: words that are missing, streams that failed. Pure."""

from workers.assist.board import Cite
from workers.assist.facts import Missing
from workers.assist.rules import Trouble
from workers.assist.watch import Measure, Post, Watch


class TroubleWatch(Watch):
    """Raises an alert per gap that is long enough, and per stream that failed."""

    def __init__(self, rule: Trouble, post: Post) -> None:
        self._rule = rule
        self._post = post

    def missing(self, gap: Missing) -> None:
        """Raise an alert about a gap of one of the causes."""
        length_ms = gap.to_ms - gap.from_ms
        if gap.cause not in self._rule.causes:
            return
        times = gap.from_ms - gap.offset_ms, gap.to_ms - gap.offset_ms
        cite = Cite(gap.stream_id, gap.track, start_ms=times[0], end_ms=times[1])
        if self.best is None or length_ms > self.best.value:
            self.best = Measure(length_ms, cite)
        if length_ms >= self._rule.longer_ms:
            self._post.raise_alert(f"{gap.stream}:{gap.track}:{times[0]}", cite)

    def stream_ended(self, stream: str, status: str, cite: Cite) -> None:
        """Raise an alert about a stream that failed; withdraw it if the stream continues."""
        if status in self._rule.ends:
            self._post.raise_alert(f"{stream}:end", cite)
        elif status == "resumed":
            self._post.withdraw(f"{stream}:end")
