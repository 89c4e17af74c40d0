"""`./run tail`: prints the transcripts of live calls from Redis."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from cli import events, running
from cli.view import TranscriptView
from gateway.redis_client.client import RedisClient
from workers.client import AnyEvent, CallTranscript, Hole, encode_id, follow, follow_all


def tail(
    call_id: Annotated[
        str | None,
        typer.Argument(help="The call to follow, from its beginning. Default: all new events."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as JSON, one per line.")
    ] = False,
    redis_url: Annotated[
        str, typer.Option(envvar="GATEWAY_REDIS_URL", help="URL of the gateway's Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """Follow the transcript of one call, or of all calls."""
    running.run((_tail_json if as_json else _tail)(call_id, redis_url))


async def _tail_json(call_id: str | None, redis_url: str) -> None:
    async with events.connect(redis_url) as redis:
        async for event in _followed(redis, call_id):
            typer.echo(msgspec.json.encode(event))


async def _tail(call_id: str | None, redis_url: str) -> None:
    console = Console(highlight=False)
    calls: dict[str, CallTranscript] = {}
    async with events.connect(redis_url) as redis:
        status = Console(stderr=True, highlight=False)
        status.print(
            f"Following {f'call {call_id}' if call_id else 'calls'}; Ctrl-C ends.", style="dim"
        )
        if call_id and not await redis.exists(await events.stored_key(redis, call_id)):
            status.print("The call has no events yet; waiting for it to begin.", style="dim")
        with TranscriptView(console, name_calls=call_id is None) as view:
            async for event in _followed(redis, call_id):
                if isinstance(event, Hole):
                    continue  # `CallTranscript` counts missing events as well
                name = event.call_id
                call = calls.setdefault(name, CallTranscript(name))
                call.apply(event)
                view.update(call)
                if call.over:
                    missing = f", {call.missing} events missing" if call.missing else ""
                    line = f"{name}  {call.status} {call.reason}{missing}"
                    console.print(Text(line, "dim"))
                    del calls[name]


async def _followed(redis: RedisClient, call_id: str | None) -> AsyncIterator[AnyEvent | Hole]:
    if call_id is None:
        found = follow_all(redis, partitions=events.PARTITIONS)
    else:
        partition = await events.locate(redis, call_id)
        found = follow(redis, encode_id(call_id), partition=partition)
    async for each in found:
        yield each
