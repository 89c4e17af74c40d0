"""`./run tail`: follow live calls' text from Redis."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli import events, running
from cli.transcript import CallTranscript
from cli.view import TranscriptView


def tail(
    call_id: Annotated[
        str | None, typer.Argument(help="One call, from its beginning. Default: all, from now on.")
    ] = None,
    redis_url: Annotated[
        str, typer.Option(envvar="GATEWAY_REDIS_URL", help="The gateway's Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """Follow calls' text as it grows: one call's, or everybody's."""
    running.run(_tail(call_id, redis_url))


async def _tail(call_id: str | None, redis_url: str) -> None:
    console = Console(highlight=False)
    keys = [events.call_key(call_id)] if call_id else events.all_calls()
    calls: dict[str, CallTranscript] = {}
    async with events.connect(redis_url) as redis:
        aside = Console(stderr=True, highlight=False)
        aside.print(
            f"Following {f'call {call_id}' if call_id else 'calls'}; Ctrl-C ends.", style="dim"
        )
        if call_id and not await redis.exists(*keys):
            aside.print("There is nothing of it yet: waiting for it to begin.", style="dim")
        with TranscriptView(console, name_calls=call_id is None) as view:
            async for event in events.follow(redis, keys, since="0" if call_id else "$"):
                name = event["call_id"]
                call = calls.setdefault(name, CallTranscript(name))
                call.apply(event)
                view.update(call)
                if call.over:
                    console.print(Text(f"{name}  {call.status} {call.reason}", "dim"))
                    del calls[name]
                    if call_id:
                        return
