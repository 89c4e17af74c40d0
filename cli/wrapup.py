"""`./run wrapup`: prints the wrap-up of a call, or requests one."""

import asyncio
import time
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text as Styled

from cli import events, running
from cli.errors import CommandError
from cli.export import note
from cli.json_output import AsJson, print_json
from cli.view import printable, showing
from gateway.redis_client.client import RedisClient
from workers.archive.record import Text
from workers.client import reading
from workers.client.events import AssistWrapup, Citation, CitedSentence
from workers.consumer import Group
from workers.wrapup import requests, store

_WAIT_S: Final = 600.0


def wrapup(
    call_id: Annotated[str, typer.Argument(help="The carrier's call id.")],
    now: Annotated[
        bool, typer.Option("--now", help="Request a new one, even if the call is live.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The one made from raw text.")] = False,
    as_json: AsJson = False,
    redis_url: Annotated[
        str, typer.Option(envvar="WORKER_REDIS_URL", help="URL of the workers' Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """Print the wrap-up of a call, or request one."""
    text = Text.RAW if raw else Text.REDACTED
    found = running.run(_wrapup(redis_url, call_id, text, now=now))
    running.run(note(redis_url, "call-opened", found.call_id, text))
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _print(found)


async def _wrapup(redis_url: str, call_id: str, text: Text, *, now: bool) -> AssistWrapup:
    async with events.connect(redis_url) as redis:
        key = await events.stored_key(redis, call_id, text)
        if now:
            with showing(Console(stderr=True, highlight=False), "Waiting for the wrap-up"):
                return await _request(redis, key, text)
        found = await store.wrapups(redis, key, text)
    if not found:
        raise CommandError(f"{call_id} has no wrap-up from {text} text; --now requests one")
    return found[-1]


async def _request(redis: RedisClient, key: str, text: Text) -> AssistWrapup:
    """Request a wrap-up and wait until it is written."""
    group = Group(store.group_name(text), partitions=events.PARTITIONS)
    tag, _, encoded = key.partition("call:")
    first = await reading.history(redis, key if text is Text.RAW else f"{key}:redacted")
    if not first:
        raise CommandError(f"Redis has no {text} text of this call")
    if not await requests.is_served(redis, group.name):
        raise CommandError(
            f"no worker makes wrap-ups from {text} text: start python -m workers wrapup with "
            "WORKER_WRAPUP_URL"
        )
    known = {each.wrapup for each in await store.wrapups(redis, key, text)}
    tenant = first[0].fields["tenant"]
    wanted = await requests.write(redis, group.name, tag, encoded, tenant, requester="run")
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        is_waiting = await requests.is_waiting(redis, group.name, tag, encoded)
        for each in await store.wrapups(redis, key, text):
            if each.wrapup not in known and each.trigger == "requested":
                return each  # it may be of a request that was written before
        await _check_failed(redis, f"{tag}dead:{group.name}", wanted)
        if not is_waiting:
            raise CommandError("none was made: nothing was said, or the call's route gets none")
        await asyncio.sleep(0.2)
    raise CommandError(f"no wrap-up within {_WAIT_S:.0f} s: see the log of the worker")


async def _check_failed(redis: RedisClient, key: str, wanted: str) -> None:
    async for entries in reading.pages(redis, key):
        for entry in entries:
            if f"requested-{entry.fields.get('request')}" == wanted:
                reason = entry.fields.get("dead_error", "")
                raise CommandError(f"the wrap-up could not be made: {reason} (docs/wrapup.md)")


def _print(found: AssistWrapup) -> None:
    console = Console(highlight=False, markup=False)
    model = f"{found.model}, from {found.made_from} text"
    console.print(Styled.assemble((found.call_id, "bold"), f"  {found.trigger}  ", (model, "dim")))
    _print_sentences(console, "Summary", found.summary)
    _print_sentences(console, "Follow-ups", found.follow_ups)
    if found.disposition:
        name = "\nDisposition  ", "bold"
        console.print(Styled.assemble(name, printable(found.disposition)))


def _print_sentences(console: Console, title: str, sentences: Iterable[CitedSentence]) -> None:
    lines = [
        Styled.assemble(f"  {printable(each.text)} ", (_citations(each.citations), "dim"))
        for each in sentences
    ]
    if lines:
        console.print(Styled(f"\n{title}", "bold"), *lines, sep="\n", soft_wrap=True)


def _citations(citations: Iterable[Citation]) -> str:
    return f"[{', '.join(f'{each.track} {_clock(each.start_ms)}' for each in citations)}]"


def _clock(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes:02d}:{seconds:02d}"
