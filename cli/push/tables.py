"""What `./run push` prints: tables for people, a line of JSON per row for programs."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from cli.view import printable
from gateway.transcript.encode import rfc3339_ms
from workers.push.endpoints import EndpointState
from workers.push.history import Attempt, DeadMessage
from workers.push.subscriptions import Listed

_PIPE_WIDTH: Final = 250  # characters, without a terminal
UNFINISHED: Final = "unfinished"  # it is being made, or its worker crashed

type Row = Mapping[str, object]


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows that have the same names."""
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row).decode())
    elif rows:
        columns = (Column(name, no_wrap=name == "message") for name in rows[0])
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            cells = ("" if value is None else str(value) for value in row.values())
            table.add_row(*map(printable, cells))
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        Console(width=width, highlight=False, markup=False).print(table)


def subscription_row(listed: Listed, state: EndpointState, waiting: int, dead: int) -> Row:
    """Return what the list shows of a subscription."""
    return {
        "subscription": listed.subscription.id,
        "to": listed.place,
        "text": str(listed.subscription.text),
        "state": state_text(state),
        "calls waiting": waiting,
        "dead letters": dead,
        "last delivery": rfc3339_ms(state.delivered / 1000) if state.delivered else None,
    }


def state_text(state: EndpointState) -> str:
    """Return the state of an endpoint in words."""
    if state.disabled is not None:
        return f"disabled ({state.why}) since {rfc3339_ms(state.disabled / 1000)}"
    if state.failing_since is not None:
        return f"failing for {max(0, round(time.time() - state.failing_since / 1000))} s"
    return "enabled"


def attempt_row(attempt: Attempt) -> Row:
    """Return what the history shows of an attempt."""
    return {
        "begun": rfc3339_ms(attempt.begun_ms / 1000),
        "message": attempt.message,
        "type": attempt.type,
        "call": attempt.call_id,
        "attempt": attempt.number,
        "outcome": attempt.step or UNFINISHED,
        "status": attempt.status,
        "reason": attempt.reason,
        "ms": attempt.took_ms if attempt.step else None,
        "worker": attempt.worker,
    }


def dead_row(letter: DeadMessage) -> Row:
    """Return what the list shows of a dead letter; its content is not shown."""
    return {
        "given up": rfc3339_ms(int(letter.id.partition("-")[0]) / 1000),
        "message": letter.message.id,
        "type": letter.message.type,
        "call": letter.message.call_id,
        "why": letter.reason,
        "attempts": letter.attempts,
        "status": letter.status,
        "reason": letter.last_reason,
    }


def newest(attempts: Iterable[Attempt], limit: int) -> list[Attempt]:
    """Return the newest attempts of several partitions, the oldest of them first."""
    ordered = sorted(attempts, key=lambda each: tuple(map(int, each.id.split("-"))))
    return ordered[-limit:]
