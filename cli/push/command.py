"""The commands of `./run push`."""

import asyncio
import secrets
import time
from typing import Annotated, Final

import typer

from cli import running
from cli.errors import CommandError
from cli.events import PARTITIONS
from cli.push import tables
from cli.push.options import (
    LOCAL,
    File,
    Name,
    RedisUrl,
    find,
    listed,
    opened,
    position_at,
    position_before,
)
from gateway.redis_client.client import RedisClient
from gateway.transcript.encode import rfc3339_ms
from gateway.transcript.keys import encode_id, partition_of
from workers.push import history as stored
from workers.push import replay as replaying
from workers.push.endpoints import EndpointStates
from workers.push.history import Attempt
from workers.push.messages import test_message
from workers.push.outbox import DueCall
from workers.push.subscriptions import Subscription

_POLL_S: Final = 0.2

app = typer.Typer(
    help="Show, test and repeat webhooks of the worker push.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Call = Annotated[str | None, typer.Option(metavar="CALL_ID", help="Only of this call.")]


@app.command("list")
def list_(redis_url: RedisUrl = LOCAL, file: File = None, as_json: AsJson = False) -> None:
    """List the subscriptions, their state and what waits."""
    running.run(_list(redis_url, file, as_json=as_json))


@app.command()
def history(
    name: Name,
    call: Call = None,
    dead: Annotated[bool, typer.Option("--dead", help="Show the dead letters instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Newest entries to show.")] = 50,
    redis_url: RedisUrl = LOCAL,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Show the attempts to deliver messages.

    No content is shown. An attempt without an end is unfinished: it is being made, or its worker
    crashed, and the endpoint may have the message.
    """
    find(file, name)
    encoded = encode_id(call) if call else None
    running.run(_history(redis_url, name, encoded, dead=dead, limit=limit, as_json=as_json))


@app.command("test")
def send_test(
    name: Name,
    wait_s: Annotated[float, typer.Option(min=1, help="How long to wait for the attempt.")] = 20,
    redis_url: RedisUrl = LOCAL,
    file: File = None,
) -> None:
    """Send a test message through the worker, and report how that ended."""
    running.run(_test(redis_url, find(file, name), wait_s))


@app.command()
def replay(
    name: Name,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Events from this time on (RFC 3339).")
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ID",
            help="From a message of the history on (msg_...: its call), or from an entry of Redis.",
        ),
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead letters.")] = False,
    call: Call = None,
    redis_url: RedisUrl = LOCAL,
    file: File = None,
) -> None:
    """Send messages again.

    They are made from the events that Redis has, or from dead letters, and have the ids that they
    had before.
    """
    if [since is not None, first is not None, dead].count(True) != 1:
        raise CommandError("use one of --since, --from and --dead")
    if dead and call:
        raise CommandError("use --call only with --since and --from")
    subscription = find(file, name)
    if dead:
        count = running.run(_replay_dead(redis_url, subscription))
    else:
        count = running.run(_replay(redis_url, subscription, since, first, call))
    typer.echo(f"to be sent again to {name}: {count}")


@app.command()
def enable(name: Name, redis_url: RedisUrl = LOCAL, file: File = None) -> None:
    """Enable an endpoint, and try what waits at once."""
    find(file, name)
    waiting = running.run(_enable(redis_url, name))
    typer.echo(f"enabled {name}; calls with messages that wait: {waiting}")


async def _list(redis_url: str, file: File, *, as_json: bool) -> None:
    found = listed(file)
    names = [each.subscription.id for each in found]
    async with opened(redis_url) as (client, outbox):
        states = await EndpointStates(client, names).read()
        counts = await outbox.waiting(range(PARTITIONS), names)
    rows = [
        tables.subscription_row(each, states[each.subscription.id], *counts[each.subscription.id])
        for each in found
    ]
    tables.print_rows(rows, as_json=as_json)


async def _history(
    redis_url: str, name: str, call: str | None, *, dead: bool, limit: int, as_json: bool
) -> None:
    rows: list[tables.Row] = []
    async with opened(redis_url) as (client, _):
        if dead:
            for partition in range(PARTITIONS):
                async for letter in stored.dead_messages(client, partition, name):
                    if call in (None, letter.message.call_id):
                        rows.append(tables.dead_row(letter))  # noqa: PERF401 - of several partitions
            rows = sorted(rows, key=lambda row: str(row["given up"]))[-limit:]
        else:
            attempts = await _attempts(client, name)
            mine = [each for each in attempts if call in (None, each.call_id)]
            rows = [tables.attempt_row(each) for each in tables.newest(mine, limit)]
    tables.print_rows(rows, as_json=as_json)


async def _attempts(client: RedisClient, name: str) -> list[Attempt]:
    return [
        each
        for partition in range(PARTITIONS)
        for each in await stored.attempts(client, partition, name)
    ]


async def _test(redis_url: str, subscription: Subscription, wait_s: float) -> None:
    name = subscription.id
    message = test_message(name, subscription.text, secrets.token_hex(8), rfc3339_ms(time.time()))
    partition = partition_of(message.call_id, PARTITIONS)
    async with opened(redis_url) as (client, outbox):
        states = await EndpointStates(client, [name]).read()
        if states[name].disabled is not None:
            raise CommandError(f"{name} is {tables.state_text(states[name])}: ./run push enable")
        await outbox.enqueue(partition, "", "", [(name, message)])
        attempt = await _first_attempt(client, partition, name, message.id, wait_s)
        if attempt is None or attempt.step != "delivered":
            # Otherwise it would be retried until its budget is used up.
            await outbox.discard(DueCall(partition, name, message.call_id))
    if attempt is None:
        raise CommandError(f"no worker push has tried it within {wait_s:g} s")
    if attempt.step == "skipped":
        raise CommandError(f"{name} is not tested: its adapter sends no test messages")
    how = f"{attempt.reason} {attempt.status}".strip()
    if attempt.step != "delivered":
        raise CommandError(f"{name} did not accept {message.id}: {how or 'no end'}")
    typer.echo(f"{name} accepted {message.id}: {how} after {attempt.took_ms} ms")


async def _first_attempt(
    client: RedisClient, partition: int, name: str, message: str, wait_s: float
) -> Attempt | None:
    """Wait until a message was tried; return the attempt, which may have no end."""
    deadline_s = time.monotonic() + wait_s
    while True:
        tried = await stored.attempts(client, partition, name)
        found = next((each for each in tried if each.message == message), None)
        if (found and found.step) or time.monotonic() > deadline_s:
            return found
        await asyncio.sleep(_POLL_S)


async def _replay(
    redis_url: str,
    subscription: Subscription,
    since: str | None,
    first: str | None,
    call: str | None,
) -> int:
    call_id = encode_id(call) if call else None
    after = position_at(since) if since is not None else position_before(first or "")
    async with opened(redis_url) as (client, outbox):
        if after is None:
            found = await _find(client, subscription.id, first or "")
            after, call_id = position_before(found.entry), found.call_id
            if after is None:
                raise CommandError(f"{first} has no event: it is a test")
        partitions = [partition_of(call_id, PARTITIONS)] if call_id else range(PARTITIONS)
        return sum(
            [
                await replaying.from_events(client, outbox, subscription, each, after, call_id)
                for each in partitions
            ]
        )


async def _find(client: RedisClient, name: str, message: str) -> Attempt:
    for each in await _attempts(client, name):
        if each.message == message:
            return each
    raise CommandError(
        f"no message {message} in the history of {name}, and it is no entry of Redis"
    )


async def _replay_dead(redis_url: str, subscription: Subscription) -> int:
    async with opened(redis_url) as (client, outbox):
        return sum(
            [
                await replaying.from_dead_letters(client, outbox, subscription.id, each)
                for each in range(PARTITIONS)
            ]
        )


async def _enable(redis_url: str, name: str) -> int:
    async with opened(redis_url) as (client, outbox):
        waiting = sum([await outbox.restart(each, name) for each in range(PARTITIONS)])
        await EndpointStates(client, [name]).enable(name)
    return waiting
