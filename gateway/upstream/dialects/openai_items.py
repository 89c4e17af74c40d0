"""The items of a session of OpenAI's protocol, and the answers that are made of them. Pure.

    client  append ... commit  append ............... commit
    server  .. delta .. committed  delta .. completed .. committed .. completed

An item is what the server transcribes: a turn, from the end of the one before to the gateway's
commit, which the server refuses if no audio is left. If the server ends items by itself, a turn
consists of several, and still ends with the commit.

`committed` announces an item: of the oldest turn whose commit is not confirmed. A model that shows
text before that uses the item's id already. `completed` has the whole text, which may differ from
the deltas. Items may be completed in any order; their answers leave in the order of the audio. If
an item fails, its session continues.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Done, Event, Send, Speech

_BYTES_PER_MS: Final = 32
_MOST_CHARACTERS: Final = 5000  # of one turn; someone who reads fast says 400 in 15 s
_MOST_ITEMS: Final = 64  # of one turn
_MOST_TURNS: Final = 64  # unanswered; no more audio is sent meanwhile
_MOST_CLOSED_IDS: Final = 64  # items whose late messages are ignored


class _Item(msgspec.Struct):
    """A stretch of a turn's audio that the server transcribes."""

    turn: "_Turn"
    item_id: str
    is_announced: bool = False  # by `committed`
    text: str = ""
    language: str | None = None
    is_over: bool = False
    is_missed: bool = False


class _Turn(msgspec.Struct):
    """Audio from the end of the turn before; `speech` is None until it is cut.

    It is one item, or several if the server ends items by itself.
    """

    begin_ms: int
    end_ms: int = 0
    speech: Speech | None = None
    commit_id: str = ""
    is_committed: bool = False  # the server has confirmed or refused the commit
    is_missed: bool = False
    items: list[_Item] = []

    @property
    def is_over(self) -> bool:
        """Whether all of it is answered."""
        return self.is_committed and all(item.is_over for item in self.items)

    @property
    def unannounced(self) -> _Item | None:
        """The item that has text although it is not committed."""
        return next((item for item in self.items if not item.is_announced), None)

    @property
    def language(self) -> str | None:
        """The language that the server detected, of the newest item that has one."""
        return next((item.language for item in reversed(self.items) if item.language), None)

    @property
    def text(self) -> str:
        """Its text, with the space that separates it from the turn before."""
        texts = (item.text.strip() for item in self.items)
        return "".join(f" {text}" for text in texts if text)


class Items:
    """The turns that the server has not answered, in order, and their items.

    Args:
        is_chained: whether each item names the one before it as its predecessor. If False, the
            predecessor may be an older one.

    Attributes:
        sent_bytes: of the session's audio, as received from the gateway.
        is_turn_open: whether the last turn is not cut.
        detects_voice: whether the server ends items, too.
    """

    def __init__(self, *, is_chained: bool) -> None:
        self.sent_bytes = 0
        self.is_turn_open = False
        self.detects_voice = False
        self._is_chained = is_chained
        self._is_finishing = False
        self._turns: deque[_Turn] = deque()
        self._cuts = 0
        self._items: dict[str, _Item] = {}  # of the turns
        self._stopped_id: str | None = None  # of the newest item that the server has ended
        self._closed_ids: deque[str] = deque(maxlen=_MOST_CLOSED_IDS)
        self._last_id: str | None = None  # of the newest item that is committed
        self._shown = ""  # provisional text of the first turn, as passed on

    @property
    def has_room(self) -> bool:
        """Whether few enough turns are unanswered for another one."""
        return len(self._turns) < _MOST_TURNS

    def begin_turn(self) -> None:
        """Open a turn; the audio before it is sent."""
        self._turns.append(_Turn(self._sent_ms))
        self.is_turn_open = True

    def cut(self, speech: Speech) -> str:
        """End the open turn; return the id of its commit."""
        turn = self._turns[-1]
        turn.speech, turn.end_ms = speech, self._sent_ms
        self.is_turn_open = False
        self._cuts += 1
        turn.commit_id = f"turn-{self._cuts}"
        return turn.commit_id

    def finish(self) -> Iterable[Event]:
        """End at once, or once the last turn is answered."""
        self._is_finishing = True
        return () if self._turns else (Done(),)

    # What the server reports

    def stop(self, item_id: str) -> None:
        """Record that the server ends an item by itself."""
        self._stopped_id = item_id

    def commit(self, item_id: str, previous_id: str | None) -> Iterable[Event]:
        """Announce an item: that of a commit, unless the server has ended it by itself."""
        turn = self._first_uncommitted
        if turn is None:
            raise UpstreamError("realtime-protocol-error", "an item without audio")
        is_next = previous_id in (None, "", self._last_id)
        if self._last_id and self._is_chained and not is_next:
            raise UpstreamError("realtime-protocol-error", "items in another order than the audio")
        self._last_id = item_id
        self._announce(turn, item_id)
        turn.is_committed = turn.speech is not None and item_id != self._stopped_id
        return self._answer()

    def refuse(self, commit_id: str | None) -> Iterable[Event] | None:
        """End the turn whose commit is refused, because no audio of it is left.

        It is missed, unless voice detection had it all.

        Args:
            commit_id: None if the server does not report it.

        Returns:
            The answers; None if no such commit can be refused.
        """
        turn = self._first_uncommitted
        if turn is None or turn.speech is None or commit_id not in (None, turn.commit_id):
            return () if self.detects_voice else None
        turn.is_committed = True
        turn.is_missed = not (self.detects_voice or turn.items)
        if item := turn.unannounced:
            item.is_over = item.is_missed = True
        return self._answer()

    def add(self, item_id: str, text: str) -> Iterable[Event]:
        """Add provisional text."""
        item = self._find(item_id)
        if item is None or item.is_over:
            return ()
        self._set_text(item, item.text + text)
        return self._show()

    def end(
        self,
        item_id: str,
        transcript: str,
        *,
        language: str | None = None,
        is_missed: bool = False,
    ) -> Iterable[Event]:
        """Complete an item, with its whole text."""
        item = self._find(item_id)
        if item is None or item.is_over:
            return ()
        item.is_over, item.is_missed, item.language = True, is_missed, language
        self._set_text(item, transcript)
        return self._answer()

    # Turns and their items

    @property
    def _sent_ms(self) -> int:
        return self.sent_bytes // _BYTES_PER_MS

    @property
    def _first_uncommitted(self) -> _Turn | None:
        return next((turn for turn in self._turns if not turn.is_committed), None)

    def _announce(self, turn: _Turn, item_id: str) -> None:
        """Record that an item is committed, which may have had text under another id."""
        item = turn.unannounced
        if item is None or item.item_id != item_id:
            if (other := self._items.get(item_id)) and not other.is_over:
                raise UpstreamError("realtime-protocol-error", "an item for two turns")
            if item and item.is_over:
                raise UpstreamError("realtime-protocol-error", "an item that was not committed")
            if item:
                self._items.pop(item.item_id, None)
                item.item_id = item_id
                self._items[item_id] = item
            else:
                item = self._new_item(turn, item_id)
        item.is_announced = True

    def _new_item(self, turn: _Turn, item_id: str) -> _Item:
        if len(turn.items) >= _MOST_ITEMS:
            raise UpstreamError("realtime-protocol-error", "a turn has too many items")
        item = self._items[item_id] = _Item(turn, item_id)
        turn.items.append(item)
        return item

    def _find(self, item_id: str) -> _Item | None:
        """Return an item; None if its turn is over. A new one is that of the first turn without."""
        if item := self._items.get(item_id):
            return item
        if item_id in self._closed_ids:
            return None
        waiting = (each for each in self._turns if not (each.is_committed or each.unannounced))
        if turn := next(waiting, None):
            return self._new_item(turn, item_id)
        raise UpstreamError("realtime-protocol-error", "an unknown item")

    def _set_text(self, item: _Item, text: str) -> None:
        item.text = text
        if sum(len(each.text) for each in item.turn.items) > _MOST_CHARACTERS:
            raise UpstreamError("realtime-protocol-error", "a turn has too much text")

    def _answer(self) -> Iterable[Event]:
        """Yield the answers of the first turns that are over, then the text of the next one."""
        was_able = self.is_turn_open or self.has_room
        while self._turns and self._turns[0].is_over:
            turn = self._turns.popleft()
            self._shown = ""
            for item in turn.items:
                if self._items.get(item.item_id) is item:
                    del self._items[item.item_id]
                self._closed_ids.append(item.item_id)
            yield _final(turn)
        yield from self._show()
        if not was_able:
            yield Send(())  # so that audio is sent again
        if self._is_finishing and not self._turns:
            yield Done()

    def _show(self) -> Iterable[Event]:
        if not self._turns:
            return ()
        turn = self._turns[0]
        text = turn.text
        if text == self._shown:
            return ()
        self._shown = text
        end_ms = turn.end_ms if turn.speech else self._sent_ms
        return (Answer(text, turn.begin_ms, end_ms, None, replaces=True),)


def _final(turn: _Turn) -> Answer:
    is_missed = turn.is_missed or any(item.is_missed for item in turn.items)
    if is_missed or turn.speech is None:
        begin_ms, end_ms = turn.begin_ms, turn.end_ms
        return Answer("", begin_ms, end_ms, end_ms, replaces=True, is_missed=True)
    return Answer(
        turn.text,
        turn.speech.start_ms,
        turn.speech.end_ms,
        turn.end_ms,
        replaces=True,
        language=turn.language,
    )
