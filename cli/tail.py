"""`./run tail`: prints the transcripts of live calls from Redis."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli import events, running
from cli.transcript import CallTranscript
from cli.view import TranscriptView


def tail(
    call_id: Annotated[
        str | None,
        typer.Argument(help="The call to follow, from its beginning. Default: all new events."),
    ] = None,
    redis_url: Annotated[
        str, typer.Option(envvar="GATEWAY_REDIS_URL", help="URL of the gateway's Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """Follow the transcript of one call, or of all calls."""
    running.run(_tail(call_id, redis_url))


async def _tail(call_id: str | None, redis_url: str) -> None:
    console = Console(highlight=False)
    keys = [events.call_key(call_id)] if call_id else events.all_calls()
    calls: dict[str, CallTranscript] = {}
    async with events.connect(redis_url) as redis:
        status = Console(stderr=True, highlight=False)
        status.print(
            f"Following {f'call {call_id}' if call_id else 'calls'}; Ctrl-C ends.", style="dim"
        )
        if call_id and not await redis.exists(*keys):
            status.print("The call has no events yet; waiting for it to begin.", style="dim")
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
