"""`./run govern`: erasure, legal holds, the report, the audit trail and the ledger."""

import getpass
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from cli import events, running
from cli.errors import CommandError
from cli.view import printable
from common.settings import load
from gateway.errors import PublishError
from workers.governance.append_only import Rewriting
from workers.governance.assembly import Governed, govern
from workers.governance.calls import CallIdError, as_in_events
from workers.governance.eraser import Actor, Walked
from workers.governance.ledger import Erasure, LedgerFileError, Recorded, line_of, read_lines
from workers.governance.settings import Settings
from workers.governance.stores import StoreError

_PIPE_WIDTH: Final = 250  # characters, without a terminal
_MOST_REASON: Final = 300
_REFUSED: Final = {
    Recorded.HELD: "not erased: a legal hold is on it (./run govern release)",
    Recorded.LIVE: "not erased: it has not ended; end it, or repeat with --even-live",
}
_FILE: Final = {
    Rewriting.OFF: "",
    Rewriting.STARTED: "is being rewritten without the calls",
    Rewriting.BUSY: "was being rewritten already; run BGREWRITEAOF when that is done",
}

app = typer.Typer(
    name="govern",
    help="Erase and hold calls, report what is kept, audit.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
ledger_app = typer.Typer(
    name="ledger",
    help="Export the ledger of erased calls, or apply it to a restored installation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(ledger_app)

_Calls = Annotated[list[str], typer.Argument(metavar="CALL_ID...", help="The calls.")]
_Reason = Annotated[str, typer.Option(help="Why; it is in the ledger and in the audit trail.")]
_Url = Annotated[str, typer.Option(envvar="WORKER_REDIS_URL", help="URL of the workers' Redis.")]
_URL: Final = "redis://127.0.0.1:6379/0"


@app.command()
def erase(
    call_ids: _Calls,
    reason: _Reason,
    even_live: Annotated[
        bool, typer.Option("--even-live", help="Also calls that have not ended.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without a question.")] = False,
    redis_url: _Url = _URL,
) -> None:
    """Erase calls from every store, so that they stay erased."""
    calls = _read(call_ids)
    _check_reason(reason)
    if not yes:
        typer.confirm(f"Erase {len(calls)} call(s)? It can't be undone", abort=True)
    if not running.run(_erase(redis_url, calls, reason, even_live=even_live)):
        raise typer.Exit(1)


async def _erase(redis_url: str, calls: list[str], reason: str, *, even_live: bool) -> bool:
    async with _opened(redis_url) as governed:
        recorded, is_refused = [], False
        for call_id in calls:
            outcome = await governed.governance.request(
                call_id, actor(), reason, even_live=even_live
            )
            if refusal := _REFUSED.get(outcome):
                is_refused = True
                typer.echo(f"{call_id}: {refusal}", err=True)
            else:
                recorded.append(call_id)
        walked = await _carry_out(governed, recorded)
    return _report(recorded, walked) and not is_refused


async def _carry_out(governed: Governed, calls: Sequence[str]) -> Walked:
    walked = await governed.governance.carry_out(calls, actor()) if calls else Walked()
    if walked.done:
        try:
            state = _FILE[await governed.file.rewrite()]
        except PublishError as error:
            state = f"not rewritten ({error.detail or error.reason}); run BGREWRITEAOF"
        if state:
            typer.echo(f"append-only file of Redis: {state}", err=True)
    return walked


def _report(calls: Sequence[str], walked: Walked) -> bool:
    """Print what was deleted; return whether nothing is left."""
    for call_id in calls:
        typer.echo(f"{call_id}: recorded")
    for store, count in sorted(walked.removed.items()):
        typer.echo(f"deleted from {store}: {count}")
    for store, count in sorted(walked.left.items()):
        typer.echo(f"left in {store}: {count}; the worker govern continues", err=True)
    for store, reason in sorted(walked.failed.items()):
        typer.echo(f"{store} failed: {reason}; the worker govern tries again", err=True)
    return walked.is_done


@app.command()
def status(call_id: str, redis_url: _Url = _URL) -> None:
    """Show whether a call was erased or is held, and which stores keep something of it."""
    (call,) = _read([call_id])
    running.run(_status(redis_url, call))


async def _status(redis_url: str, call_id: str) -> None:
    async with _opened(redis_url) as governed:
        governance = governed.governance
        erasure = await governance.ledger.get(call_id)
        hold = await governance.holds.get(call_id)
        found = await governance.find(call_id)
    if erasure:
        done = f"done {erasure.done}" if erasure.done else "not done"
        typer.echo(f"erased: requested {erasure.at} by {printable(erasure.who)}, {done}")
        typer.echo(f"reason: {printable(erasure.reason)}")
    if hold:
        typer.echo(f"held: since {hold.at} by {printable(hold.who)}: {printable(hold.reason)}")
    for store, count in found.items():
        typer.echo(f"{store}: {count or 'nothing'}")


@app.command()
def hold(call_ids: _Calls, reason: _Reason, redis_url: _Url = _URL) -> None:
    """Place legal holds: the calls are neither erased nor deleted when their time is over."""
    calls = _read(call_ids)
    _check_reason(reason)
    if not running.run(_hold(redis_url, calls, reason)):
        raise typer.Exit(1)


async def _hold(redis_url: str, calls: list[str], reason: str) -> bool:
    outcomes = []
    async with _opened(redis_url) as governed:
        for call_id in calls:
            outcome = await governed.governance.hold(call_id, actor(), reason)
            outcomes.append(outcome)
            texts = {"placed": "held", "held": "held before", "erased": "not held: it was erased"}
            typer.echo(f"{call_id}: {texts[outcome]}", err=outcome == "erased")
        await governed.governance.holds.set_expiry(calls, None)
    return "erased" not in outcomes


@app.command()
def release(call_ids: _Calls, reason: _Reason, redis_url: _Url = _URL) -> None:
    """Lift legal holds; the retention of the calls begins anew."""
    calls = _read(call_ids)
    _check_reason(reason)
    if not running.run(_release(redis_url, calls, reason)):
        raise typer.Exit(1)


async def _release(redis_url: str, calls: list[str], reason: str) -> bool:
    lifted = []
    async with _opened(redis_url) as governed:
        try:
            for call_id in calls:
                is_lifted = await governed.governance.release(call_id, actor(), reason)
                lifted += [call_id] if is_lifted else []
                typer.echo(f"{call_id}: {'released' if is_lifted else 'was not held'}")
        finally:  # else the calls that were released never expire
            await governed.governance.holds.set_expiry(lifted, _retention_s())
    return len(lifted) == len(calls)


def _retention_s() -> int:
    """Return how long Redis keeps a call: the setting of the gateways, or that of the workers."""
    names = ("GATEWAY_RETENTION_S", "WORKER_RETENTION_S")
    return int(next((os.environ[name] for name in names if os.environ.get(name)), 86_400))


@app.command()
def report(
    as_json: Annotated[bool, typer.Option("--json", help="As lines of JSON.")] = False,
    redis_url: _Url = _URL,
) -> None:
    """Show what is kept where, how much of it, and for how long; without content."""
    running.run(_report_all(redis_url, as_json=as_json))


async def _report_all(redis_url: str, *, as_json: bool) -> None:
    async with _opened(redis_url) as governed:
        governance = governed.governance
        holdings = [each for store in governance.stores for each in await store.describe()]
        erased, audited = await governance.ledger.count(), await governance.trail.count()
        held = len([call_id async for call_id, _ in governance.holds.all()])
    if as_json:
        for each in holdings:
            typer.echo(msgspec.json.encode(each))
        return
    names = ("store", "where", "what", "calls", "entries", "oldest", "until")
    table = Table(*(Column(name) for name in names), box=None, pad_edge=False)
    for each in holdings:
        numbers = ("" if each.calls is None else str(each.calls), str(each.entries or 0))
        place = (each.store, each.where, each.what)
        table.add_row(*place, *numbers, each.oldest or "", each.until)
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(width=width, highlight=False, markup=False).print(table)
    typer.echo(f"erased calls in the ledger: {erased}; held: {held}; audit entries: {audited}")


@app.command()
def audit(
    since: Annotated[
        str | None, typer.Option(help="Only from this time on: 2026-11-30, or with a time.")
    ] = None,
    call: Annotated[str | None, typer.Option(help="Only what concerns this call.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that nothing is missing; print nothing else.")
    ] = False,
    contains: Annotated[
        str, typer.Option(help="With --verify: a digest noted earlier, which must be in it.")
    ] = "",
    redis_url: _Url = _URL,
) -> None:
    """Print the audit trail as lines of JSON: who viewed, exported, held and erased what."""
    if contains and not verify:
        raise CommandError("use --contains only with --verify")
    if verify:
        if not running.run(_verify(redis_url, contains)):
            raise typer.Exit(1)
        return
    after = f"{round(_time(since).timestamp() * 1000) - 1}" if since else "0"
    running.run(_audit(redis_url, after, _read([call])[0] if call else None))


async def _audit(redis_url: str, after: str, call_id: str | None) -> None:
    async with _opened(redis_url) as governed:
        async for entry_id, fields in governed.governance.trail.entries(after):
            if call_id in (None, fields.get("call_id")):
                typer.echo(json.dumps({"id": entry_id, **fields}))


async def _verify(redis_url: str, contains: str) -> bool:
    async with _opened(redis_url) as governed:
        count, problems = await governed.governance.trail.verify(contains=contains)
        tip = [fields async for _, fields in governed.governance.trail.entries()][-1:]
    for each in problems:
        typer.echo(f"{each.entry_id or 'the trail'}: {each.what}", err=True)
    digest = tip[0].get("digest", "") if tip else "none"
    typer.echo(f"audit entries: {count}, problems: {len(problems)}, last digest: {digest}")
    return not problems


@ledger_app.command("export")
def export(redis_url: _Url = _URL) -> None:
    """Print the ledger as lines of JSON. Keep them where backups of Redis do not reach."""
    running.run(_export(redis_url))


async def _export(redis_url: str) -> None:
    async with _opened(redis_url) as governed:
        async for call_id, erasure in governed.governance.ledger.all():
            typer.echo(line_of(call_id, erasure))


@ledger_app.command("reapply")
def reapply(
    file: Annotated[Path, typer.Argument(help="An exported ledger.")], redis_url: _Url = _URL
) -> None:
    """Erase all calls of an exported ledger again, after a backup was restored."""
    try:
        records = read_lines(file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"cannot read {file}") from None
    except LedgerFileError as error:
        raise CommandError(f"{file}: {error}") from None
    if not running.run(_reapply(redis_url, records)):
        raise typer.Exit(1)


async def _reapply(redis_url: str, records: list[tuple[str, Erasure]]) -> bool:
    async with _opened(redis_url) as governed:
        governance, calls = governed.governance, []
        for call_id, erasure in records:
            outcome = await governance.ledger.record(call_id, erasure, even_live=True)
            if outcome is Recorded.HELD:
                typer.echo(f"{call_id}: {_REFUSED[outcome]}", err=True)
                continue
            calls.append(call_id)
        await governance.note("ledger-reapplied", actor(), None, calls=str(len(calls)))
        walked = await _carry_out(governed, calls)
    typer.echo(f"calls of the ledger: {len(calls)}")
    return _report([], walked) and len(calls) == len(records)


@asynccontextmanager
async def _opened(redis_url: str) -> AsyncIterator[Governed]:
    settings = load(Settings)
    try:
        async with events.connect(redis_url) as redis:
            yield govern(redis, events.PARTITIONS, settings)
    except StoreError as error:
        raise CommandError(str(error)) from None
    except PublishError as error:
        raise CommandError(error.detail or error.reason) from None


def actor() -> Actor:
    """Return the user of this machine, as in the audit trail."""
    user = f"uid-{os.getuid()}"
    with suppress(KeyError, OSError):  # the user has no name
        user = getpass.getuser()
    return Actor(user, f"cli:{socket.gethostname()}")


def _read(texts: Sequence[str]) -> list[str]:
    try:
        return list(dict.fromkeys(as_in_events(each) for each in texts))
    except CallIdError as error:
        raise CommandError(str(error)) from None


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _MOST_REASON or not reason.isprintable():
        raise CommandError(f"--reason must be 1 to {_MOST_REASON} characters on one line")


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            "--since must be a date or a time: 2026-11-30, 2026-11-30T10:06"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
