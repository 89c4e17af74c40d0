"""The requests that lead to a wrap-up: one, or several for a long call. Pure.

A call that exceeds the context is cut into parts of whole segments. The model takes notes of each
part (map), then writes the wrap-up from the notes (reduce). If the notes exceed the context, notes
are taken of notes. Notes cite segments and are checked like a wrap-up, so a sentence of the wrap-up
cites what was said, never a note.

Nothing counts tokens as the model does, because every model has its own vocabulary. They are
estimated by bytes, on the safe side; if the server still refuses a request as too long, `shrink`
halves the parts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from workers.wrapup import checks, prompts
from workers.wrapup.checks import Checked, RawNotes, RawReply, Sentence
from workers.wrapup.conversation import Said
from workers.wrapup.failures import ModelError, Reason
from workers.wrapup.prompts import Request

_BYTES_PER_TOKEN: Final = 3  # English has 4 or more; other languages and JSON fewer
_OVERHEAD_TOKENS: Final = 32  # of a request: roles and separators of the chat template
_MIN_PART_TOKENS: Final = 256
_LEAST_SCALE: Final = 1 / 8


class Rules(NamedTuple):
    """What a wrap-up of a route has to be.

    Attributes:
        dispositions: the closed list; empty if there is none.
        language: the language to write in; empty: that of the call.
    """

    dispositions: tuple[str, ...] = ()
    language: str = ""


class Limits(NamedTuple):
    """The sizes of requests and replies, in tokens."""

    context: int
    answer: int


class _Item(NamedTuple):
    """A segment or a note, as JSON.

    Attributes:
        text: the JSON.
        segments: what a reply may cite because of it.
        tokens: estimated.
    """

    text: str
    segments: tuple[int, ...]
    tokens: int

    @classmethod
    def of(cls, text: str, segments: tuple[int, ...]) -> "_Item":
        return cls(text, segments, estimated_tokens(f"{text},"))


def estimated_tokens(text: str) -> int:
    """Return at least as many tokens as a text probably has."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


class Draft:
    """A wrap-up in the making: the next request, and what the replies have led to.

    Args:
        said: the segments of the call.
        rules: of its route.
        limits: of the model.
    """

    def __init__(self, said: Sequence[Said], rules: Rules, limits: Limits) -> None:
        self.dropped: Counter[str] = Counter()
        self._segments = said
        self._said = {each.number: each.text for each in said}
        self._rules = rules
        self._limits = limits
        self._scale = 1.0
        self._notes: list[Sentence] = []
        self._restart()

    @property
    def has_progress(self) -> bool:
        """Whether replies are held that a new draft would have to request again."""
        return bool(self._notes) or self._kind == "notes"

    @property
    def request(self) -> Request:
        """The next request."""
        data = prompts.data(self._kind, [each.text for each in self._shown])
        if self._parts:
            return prompts.notes(data, self._rules.language)
        return prompts.wrap_up(data, self._rules.dispositions, self._rules.language)

    def accept(self, reply: str) -> Checked | None:
        """Apply the reply to `request`; return the wrap-up, or None if more requests are needed.

        Raises:
            ModelError: the reply can't be used; repeat `request`.
        """
        if self._parts:
            self._accept_notes(reply)
            return None
        raw = checks.decode(reply, RawReply)
        checked = checks.check_reply(raw, self._citable(), self._rules.dispositions, self.dropped)
        if not checked.summary:
            raise ModelError(Reason.UNSUPPORTED)
        return checked

    def shrink(self) -> bool:
        """Plan smaller requests, from the start; return whether that is possible."""
        self._scale /= 2
        self._restart()
        return self._scale >= _LEAST_SCALE

    def _restart(self) -> None:
        self._notes = []
        self._continue_with("segments", [self._item(each) for each in self._segments])

    def _continue_with(self, kind: str, items: list[_Item]) -> None:
        self._kind = kind
        self._items = items
        self._parts = self._plan()

    def _accept_notes(self, reply: str) -> None:
        raw = checks.decode(reply, RawNotes)
        found = checks.check_sentences(raw.notes, self._citable(), self.dropped)
        if raw.notes and not found:
            raise ModelError(Reason.UNSUPPORTED)
        room = sum(each.tokens for each in self._parts[0]) // 2  # so that notes get ever shorter
        for each in found:
            room -= estimated_tokens(prompts.note(*each))
            if room < 0:
                self.dropped["too-many"] += 1
            else:
                self._notes.append(each)
        del self._parts[0]
        if not self._parts:
            self._reduce()

    def _reduce(self) -> None:
        """Continue with the notes in place of what they were taken of."""
        notes, self._notes = self._notes, []
        if not notes:
            self._restart()
            raise ModelError(Reason.UNSUPPORTED)
        items = [_Item.of(prompts.note(*each), each.segments) for each in notes]
        self._continue_with("notes", items)

    @property
    def _shown(self) -> list[_Item]:
        """What the next request contains."""
        return self._parts[0] if self._parts else self._items

    def _citable(self) -> dict[int, str]:
        """Return what the reply may cite: the segments that the request is about."""
        return {each: self._said[each] for item in self._shown for each in item.segments}

    def _plan(self) -> list[list[_Item]]:
        """Return the parts to take notes of; none if one request has room for all."""
        bare = prompts.wrap_up("", self._rules.dispositions, self._rules.language)
        if sum(each.tokens for each in self._items) <= self._room(bare):
            return []
        room, used = self._room(prompts.notes("", self._rules.language)), 0
        parts: list[list[_Item]] = []
        for item in self._items:
            if not parts or used + item.tokens > room:
                parts.append([])
                used = 0
            parts[-1].append(item)
            used += item.tokens
        return parts

    def _room(self, bare: Request) -> int:
        """Return how many tokens of data a request may have, from the request without data."""
        used = estimated_tokens(bare.system) + _OVERHEAD_TOKENS + self._limits.answer
        return max(_MIN_PART_TOKENS, round((self._limits.context - used) * self._scale))

    def _item(self, said: Said) -> _Item:
        """Return a segment; one that no request has room for is cut."""
        item = _Item.of(prompts.segment(said), (said.number,))
        room = self._room(prompts.notes("", self._rules.language))
        if item.tokens <= room:
            return item
        kept = said.text[: room // 2]  # a character has at most four bytes, or six as an escape
        cut = said._replace(segment=replace(said.segment, text=kept))
        return _Item.of(prompts.segment(cut), (said.number,))
