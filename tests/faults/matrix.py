"""The matrix fault x link x moment, and the expected outcome of a call in each cell.

In every cell, each 80 ms of audio that the gateway received is transcribed exactly once or is in
a declared gap, and `stream.ended` is the last event of each stream that started. If the audio can
be replayed, there must be no gap.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any, Final

import aiohttp

from cli.audit import Account
from cli.callers.call import Call
from deploy.local.proxy import (
    BlackHole,
    Delay,
    Fault,
    FaultProxy,
    Freeze,
    Refuse,
    Reset,
    Throttle,
    Truncate,
    Way,
)
from gateway.upstream.dialects.registry import DialectName
from tests import pace
from tests.faults.caller import TRACK, Caller, speech_pause_speech
from tests.faults.calls import account_as, events_of, until_idle
from tests.faults.stack import Link, Stack, running_stack

LOST_REPLIES: Final = "lost replies"  # a black hole for replies only
FAULTS: Final[Mapping[str, Fault]] = {
    "delay": Delay(0.05),  # short enough to open a session within 1 s on a slow machine
    "throttle": Throttle(16_000),  # a fifth of what a track needs on the upstream links
    "freeze": Freeze(),
    "black-hole": BlackHole(),
    "reset": Reset(),
    "truncate": Truncate(),
    "refuse": Refuse(),
    LOST_REPLIES: BlackHole(),
}
HEALS_AFTER_S: Final = 1.0
LIMIT_S: Final = 60.0  # for a cell, at a pace of 1 (`tests/pace.py`)

_COMPLETED: Final = "completed carrier-stopped"
_UPSTREAM: Final = (Link.ENDPOINT, Link.BRIDGE, Link.ENGINE)
# Whether a rollover occurs depends on timing, so a call without one is played again.
_ATTEMPTS: Final = 3
_MISSED: Final = "the moment did not occur"
_LEAD_S: Final = 0.1  # a fault before the call begins this long before it


class Moment(StrEnum):
    """When a fault begins."""

    BEFORE = "before start"
    SPEECH = "in speech"
    PAUSE = "in a pause"
    COMMIT = "in the final commit"
    ROLLOVER = "in a rollover"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault with its link and moment; it lasts `HEALS_AFTER_S` or, if `stays`, to the end."""

    fault: str
    link: Link
    moment: Moment
    stays: bool = False

    def __str__(self) -> str:
        """Return the cell's name, which is also its test id."""
        return f"{self.fault} {self.link} {self.moment}{', stays' * self.stays}"

    @property
    def settings(self) -> dict[str, Any]:
        """Gateway settings that make the moment occur and limit the duration."""
        if self.stays:
            return {"retry_budget_s": 2.0 * pace.unit(), "finish_timeout_s": 3.0 * pace.unit()}
        return {"rollover_soft_s": 0.4} if self.moment is Moment.ROLLOVER else {}

    @property
    def may_not_start(self) -> bool:
        """Whether the carrier may fail to connect to the gateway."""
        return self.link is Link.CARRIER and self.moment is Moment.BEFORE

    @property
    def may_have_gaps(self) -> bool:
        """Whether audio may be lost, which is allowed only if an upstream link stays broken."""
        harmless = self.fault == "delay" or (
            self.fault == "refuse" and self.moment is not Moment.BEFORE
        )
        return self.stays and self.link in _UPSTREAM and not harmless

    @property
    def ends_well(self) -> bool:
        """Whether the call must be completed normally."""
        return self.link is not Link.CARRIER and not self.may_have_gaps


CELLS: Final = (
    *(Cell(*each) for each in product(FAULTS, Link, Moment)),
    *(Cell(fault, link, Moment.SPEECH, stays=True) for fault, link in product(FAULTS, Link)),
)


# Twelve cells that the test suite plays; they have each fault, link and moment at least once.
# `./run faults` plays all cells.
SAMPLE: Final = (
    Cell("delay", Link.CARRIER, Moment.SPEECH),
    Cell("throttle", Link.ENGINE, Moment.PAUSE),
    Cell("freeze", Link.CARRIER, Moment.PAUSE),
    Cell("freeze", Link.REDIS, Moment.COMMIT),
    Cell("black-hole", Link.ENDPOINT, Moment.SPEECH),
    Cell("black-hole", Link.CARRIER, Moment.SPEECH),
    Cell("reset", Link.BRIDGE, Moment.COMMIT),
    Cell("reset", Link.ENDPOINT, Moment.ROLLOVER),
    Cell("truncate", Link.ENGINE, Moment.SPEECH),
    Cell("refuse", Link.ENDPOINT, Moment.BEFORE),
    Cell("lost replies", Link.REDIS, Moment.SPEECH),
    Cell("reset", Link.ENGINE, Moment.SPEECH, stays=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a cell's call."""

    cell: Cell
    account: Account
    causes: tuple[str, ...]  # of its gaps
    status: str  # status and reason of `stream.ended`; empty if there is none
    seconds: float
    error: str = ""  # why the cell could not be played

    @property
    def started(self) -> bool:
        """Whether the stream started."""
        return self.account != Account()

    def __str__(self) -> str:
        """Return the text for the matrix."""
        done = self.account
        if self.error:
            return f"BROKEN: {self.error}"
        if not self.started:
            return "no stream"
        if not done.whole:
            amounts = (
                f"{amount} ms {what}"
                for amount, what in (
                    (done.unaccounted_ms, "unaccounted"),
                    (done.duplicated_ms, "twice"),
                    (done.wrong_ms, "wrong"),
                )
                if amount
            )
            return f"BROKEN: {', '.join([*amounts, *done.problems])}"
        gap = f"gap {done.gap_ms} ms ({', '.join(self.causes)})" if done.gap_ms else "whole"
        return gap if self.status == _COMPLETED else f"{gap}; {self.status}"

    @property
    def as_expected(self) -> bool:
        """Whether the outcome is as expected."""
        if self.error or not (self.started or self.cell.may_not_start):
            return False
        if self.cell.ends_well and self.status != _COMPLETED:
            return False
        return self.account.whole and (not self.account.gap_ms or self.cell.may_have_gaps)


async def run(
    cells: Iterable[Cell],
    redis_port: int,
    folder: Path,
    *,
    at_once: int = 12,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    dialect: DialectName = DialectName.VOXTRAL,
) -> list[Outcome]:
    """Play every cell's call, up to `at_once` at a time, with a Redis server on loopback."""
    slots = asyncio.Semaphore(at_once)

    async def played(number: int, cell: Cell) -> Outcome:
        own = folder / f"cell-{number}"
        async with slots:
            outcome = await _outcome(cell, number, own, redis_port, http, dialect)
        on_outcome(outcome)
        return outcome

    async with aiohttp.ClientSession() as http:
        return await asyncio.gather(*(played(*each) for each in enumerate(cells)))


async def _outcome(
    cell: Cell,
    seed: int,
    folder: Path,
    redis_port: int,
    http: aiohttp.ClientSession,
    dialect: DialectName,
) -> Outcome:
    begin_s = time.monotonic()
    call, error = Call({}), _MISSED
    for _ in range(_ATTEMPTS):
        call = Call({TRACK: speech_pause_speech(seed)})
        error = await _attempt(cell, call, folder, redis_port, http, dialect)
        if error != _MISSED:
            break
    published = await events_of(call, redis_port)
    return Outcome(
        cell,
        account_as(dialect, published, call) if published else Account(),
        _causes(published),
        _status(published),
        round(time.monotonic() - begin_s, 1),
        error,
    )


async def _attempt(
    cell: Cell,
    call: Call,
    folder: Path,
    redis_port: int,
    http: aiohttp.ClientSession,
    dialect: DialectName,
) -> str:
    """Play a call; return why the attempt is invalid, or an empty string."""
    try:
        async with (
            asyncio.timeout(LIMIT_S * pace.unit()),
            running_stack(folder, redis_port, dialect=dialect) as stack,
        ):
            return "" if await _play(cell, stack, Caller(call), http) else _MISSED
    except TimeoutError:
        return f"not over after {LIMIT_S * pace.unit():.0f} s"


async def _play(cell: Cell, stack: Stack, caller: Caller, http: aiohttp.ClientSession) -> bool:
    """Play a call with its fault and end the gateway; return whether the moment occurred."""
    async with stack.gateway(**cell.settings) as gateway:
        link = stack.links[cell.link]
        moment = _moment(cell.moment, stack, caller)
        breaking = asyncio.ensure_future(_break(link, moment, cell, caller))
        if cell.moment is Moment.BEFORE:
            await asyncio.sleep(_LEAD_S)
        await caller.play(http, stack.links[Link.CARRIER].port)
        await until_idle(gateway)
        if not moment.is_set():
            breaking.cancel()
            return False
        await breaking
    link.heal()
    if cell.stays and cell.link is Link.REDIS:
        async with stack.gateway():  # another gateway on the same host publishes the spooled events
            await asyncio.sleep(1.0)
    return True


def _moment(moment: Moment, stack: Stack, caller: Caller) -> asyncio.Event:
    """Return the event that is set when a moment occurs."""
    now = asyncio.Event()
    now.set()
    return {
        Moment.BEFORE: now,
        Moment.SPEECH: caller.in_speech,
        Moment.PAUSE: caller.in_pause,
        Moment.COMMIT: stack.engine_events.finishing,
        Moment.ROLLOVER: stack.engine_events.rolling_over,
    }[moment]


async def _break(link: FaultProxy, moment: asyncio.Event, cell: Cell, caller: Caller) -> None:
    """Inject the cell's fault when the moment occurs; heal it after a while unless it stays."""
    if cell.moment is Moment.COMMIT:
        await caller.in_pause.wait()
        moment.clear()  # the end of a turn is no hang-up
    await moment.wait()
    way = Way.REPLIES if cell.fault == LOST_REPLIES else Way.BOTH
    link.apply(FAULTS[cell.fault], way)
    if not cell.stays:
        await asyncio.sleep(HEALS_AFTER_S)
        link.heal()


def _causes(published: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({e["cause"] for e in published if e["type"] == "transcript.gap"}))


def _status(published: Sequence[Mapping[str, str]]) -> str:
    return next(
        (
            f"{e['status']} {e['reason']}"
            for e in reversed(published)
            if e["type"] == "stream.ended"
        ),
        "",
    )


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Format the matrix: a row per fault and moment, a column per link."""
    by_cell = {outcome.cell: outcome for outcome in outcomes}
    run = (cell for cell in CELLS if cell in by_cell)
    rows = list(dict.fromkeys((cell.fault, cell.moment, cell.stays) for cell in run))
    lines = [
        f"| fault | begins | {' | '.join(Link)} |",
        f"|---|---|{'---|' * len(Link)}",
    ]
    for fault, moment, stays in rows:
        shown = [by_cell.get(Cell(fault, link, moment, stays)) for link in Link]
        when = f"{moment}, and stays" if stays else str(moment)
        cells = " | ".join("" if each is None else str(each) for each in shown)
        lines.append(f"| {fault} | {when} | {cells} |")
    counts = Counter("as expected" if each.as_expected else "broken" for each in outcomes)
    lines += ["", ", ".join(f"{count} cells {what}" for what, count in counts.items())]
    return "\n".join(lines)
