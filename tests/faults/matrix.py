"""The matrix fault x link x moment, and what must become of a call in each of its cells.

In every cell each 80 ms of audio that the gateway received is transcribed exactly once or lies in a
declared gap, and `stream.ended` is the last event of each stream that started. Where the audio can
be heard again there must not even be a gap.
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

from cli.audit import Account, account
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
from tests import pace
from tests.faults.caller import TRACK, Caller, speech_pause_speech
from tests.faults.calls import events_of, over
from tests.faults.stack import Link, Stack, standing

LOST_REPLIES: Final = "lost replies"  # a black hole one way: what is said arrives
FAULTS: Final[Mapping[str, Fault]] = {
    "delay": Delay(0.05),  # a session still opens within its second, on a slow machine
    "throttle": Throttle(16_000),  # a fifth of what a track needs on the upstream links
    "freeze": Freeze(),
    "black-hole": BlackHole(),
    "reset": Reset(),
    "truncate": Truncate(),
    "refuse": Refuse(),
    LOST_REPLIES: BlackHole(),
}
HEALS_AFTER_S: Final = 1.0
LIMIT_S: Final = 60.0  # for a cell, on a machine as fast as its budgets were made for

_COMPLETED: Final = "completed carrier-stopped"
_UPSTREAM: Final = (Link.ENDPOINT, Link.BRIDGE, Link.ENGINE)
# When a rollover comes depends on the machine; a call that had none is played again.
_ATTEMPTS: Final = 3
_MISSED: Final = "the moment never came"
_LEAD_S: Final = 0.1  # a fault before the call is there so long before it


class Moment(StrEnum):
    """When a fault begins."""

    BEFORE = "before start"
    SPEECH = "in speech"
    PAUSE = "in a pause"
    COMMIT = "in the final commit"
    ROLLOVER = "in a rollover"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault, where and when; it lasts a second, or until the call is over."""

    fault: str
    link: Link
    moment: Moment
    stays: bool = False

    def __str__(self) -> str:
        """Name it, for test ids."""
        return f"{self.fault} {self.link} {self.moment}{', stays' * self.stays}"

    @property
    def settings(self) -> dict[str, Any]:
        """The gateway's settings that make its moment come, and its end not too late."""
        if self.stays:
            return {"retry_budget_s": 2.0 * pace.unit(), "finish_timeout_s": 3.0 * pace.unit()}
        return {"rollover_soft_s": 0.4} if self.moment is Moment.ROLLOVER else {}

    @property
    def may_not_start(self) -> bool:
        """Whether the carrier may not reach the gateway at all."""
        return self.link is Link.CARRIER and self.moment is Moment.BEFORE

    @property
    def may_have_gaps(self) -> bool:
        """Whether audio can't be heard in time, or not at all: only if a link stays broken."""
        harmless = self.fault == "delay" or (
            self.fault == "refuse" and self.moment is not Moment.BEFORE
        )
        return self.stays and self.link in _UPSTREAM and not harmless

    @property
    def ends_well(self) -> bool:
        """Whether the carrier can end the call in order, and the gateway finish it."""
        return self.link is not Link.CARRIER and not self.may_have_gaps


CELLS: Final = (
    *(Cell(*place) for place in product(FAULTS, Link, Moment)),
    *(Cell(fault, link, Moment.SPEECH, stays=True) for fault, link in product(FAULTS, Link)),
)


# A dozen that the test suite plays in real time: each fault, each link and each moment at least
# once. All cells: `./run faults`.
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
    """What became of a cell's call."""

    cell: Cell
    account: Account
    causes: tuple[str, ...]  # of its gaps
    status: str  # and reason, of `stream.ended`; empty if none came
    seconds: float
    trouble: str = ""  # why there is nothing to account for

    @property
    def started(self) -> bool:
        """Whether there was a stream at all."""
        return self.account != Account()

    def __str__(self) -> str:
        """What the matrix shows."""
        done = self.account
        if self.trouble:
            return f"BROKEN: {self.trouble}"
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
        """Whether the promise was kept."""
        if self.trouble or not (self.started or self.cell.may_not_start):
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
) -> list[Outcome]:
    """Play every cell's call, some at once; Redis must be a real server on loopback."""
    places = asyncio.Semaphore(at_once)

    async def played(number: int, cell: Cell) -> Outcome:
        own = folder / f"cell-{number}"
        async with places:
            outcome = await _outcome(cell, number, own, redis_port, http)
        on_outcome(outcome)
        return outcome

    async with aiohttp.ClientSession() as http:
        return await asyncio.gather(*(played(*each) for each in enumerate(cells)))


async def _outcome(
    cell: Cell, seed: int, folder: Path, redis_port: int, http: aiohttp.ClientSession
) -> Outcome:
    begin_s = time.monotonic()
    call, trouble = Call({}), _MISSED
    for _ in range(_ATTEMPTS):
        call = Call({TRACK: speech_pause_speech(seed)})
        trouble = await _attempt(cell, call, folder, redis_port, http)
        if trouble != _MISSED:
            break
    told = await events_of(call, redis_port)
    return Outcome(
        cell,
        account(told, call.tracks) if told else Account(),
        _causes(told),
        _status(told),
        round(time.monotonic() - begin_s, 1),
        trouble,
    )


async def _attempt(
    cell: Cell, call: Call, folder: Path, redis_port: int, http: aiohttp.ClientSession
) -> str:
    """Play a call; gives what went wrong with the trial itself, if anything."""
    try:
        async with asyncio.timeout(LIMIT_S * pace.unit()), standing(folder, redis_port) as stack:
            return "" if await _play(cell, stack, Caller(call), http) else _MISSED
    except TimeoutError:
        return f"not over after {LIMIT_S * pace.unit():.0f} s"


async def _play(cell: Cell, stack: Stack, caller: Caller, http: aiohttp.ClientSession) -> bool:
    """Play a call, break its link at the moment, and end the gateway; False if none came."""
    async with stack.gateway(**cell.settings) as gateway:
        link = stack.links[cell.link]
        moment = _moment(cell.moment, stack, caller)
        breaking = asyncio.ensure_future(_break(link, moment, cell))
        if cell.moment is Moment.BEFORE:
            await asyncio.sleep(_LEAD_S)
        await caller.play(http, stack.links[Link.CARRIER].port)
        await over(gateway)
        if not moment.is_set():
            breaking.cancel()
            return False
        await breaking
    link.heal()
    if cell.stays and cell.link is Link.REDIS:
        async with stack.gateway():  # another one on the same host finds what was spooled
            await asyncio.sleep(1.0)
    return True


def _moment(moment: Moment, stack: Stack, caller: Caller) -> asyncio.Event:
    """Give what is set when a moment has come."""
    now = asyncio.Event()
    now.set()
    return {
        Moment.BEFORE: now,
        Moment.SPEECH: caller.spoke,
        Moment.PAUSE: caller.paused,
        Moment.COMMIT: stack.signs.finishing,
        Moment.ROLLOVER: stack.signs.rolling_over,
    }[moment]


async def _break(link: FaultProxy, moment: asyncio.Event, cell: Cell) -> None:
    """Break a link when the moment comes, and mend it unless it stays broken."""
    await moment.wait()
    way = Way.REPLIES if cell.fault == LOST_REPLIES else Way.BOTH
    link.apply(FAULTS[cell.fault], way)
    if not cell.stays:
        await asyncio.sleep(HEALS_AFTER_S)
        link.heal()


def _causes(told: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({e["cause"] for e in told if e["type"] == "transcript.gap"}))


def _status(told: Sequence[Mapping[str, str]]) -> str:
    return next(
        (f"{e['status']} {e['reason']}" for e in reversed(told) if e["type"] == "stream.ended"), ""
    )


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Write the matrix: a row per fault and moment, a column per link."""
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
    counts = Counter("as promised" if each.as_expected else "broken" for each in outcomes)
    lines += ["", ", ".join(f"{count} cells {what}" for what, count in counts.items())]
    return "\n".join(lines)
