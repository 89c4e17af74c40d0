"""`./run call`: place calls against a gateway, as the carrier does."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console

from cli import running, twilio_caller
from cli.demo import read_tracks
from cli.errors import CommandError
from deploy.local import stack as local
from deploy.local.processes import together


class Carrier(StrEnum):
    """Whose protocol the call is placed in."""

    TWILIO = "twilio"


def call(
    carrier: Annotated[Carrier, typer.Option(help="Whose protocol to speak.")] = Carrier.TWILIO,
    inbound: Annotated[
        Path | None, typer.Option(help="WAV of the caller. Default: A Tale of Two Cities.")
    ] = None,
    outbound: Annotated[
        Path | None, typer.Option(help="WAV of the agent. Default: a scene of Endgame.")
    ] = None,
    calls: Annotated[int, typer.Option(min=1, max=1000, help="How many at once.")] = 1,
    url: Annotated[
        str,
        typer.Option(help="ws(s)://host[:port][/prefix]; with /media/twilio, without a webhook."),
    ] = "ws://127.0.0.1:8000",
    auth_token: Annotated[
        str,
        typer.Option(
            envvar="GATEWAY_TWILIO_AUTH_TOKEN",
            show_default="that of ./run up",
            help="Signs as Twilio signs. Better in the environment than here.",
        ),
    ] = local.AUTH_TOKEN,
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="GATEWAY_PUBLIC_URL",
            help="What the gateway calls itself. Default: https and the host of --url.",
        ),
    ] = None,
) -> None:
    """Place calls against the stack of ./run up, or any gateway."""
    del carrier  # one so far; the option names the protocol for those to come
    implied = _public(url)
    gateway = twilio_caller.Gateway(url, public_url or implied, auth_token)
    tracks = read_tracks(inbound, outbound)
    running.run(_place_all(gateway, [twilio_caller.Call(tracks) for _ in range(calls)]))


async def _place_all(gateway: twilio_caller.Gateway, calls: list[twilio_caller.Call]) -> None:
    """Place the calls, their starts spread over a second as real ones never coincide."""
    console = Console(highlight=False)

    async def one(number: int, each: twilio_caller.Call) -> None:
        await asyncio.sleep(number / len(calls))
        console.print(f"{each.call_sid}  calling {gateway.url}")
        await twilio_caller.place(http, gateway, each)
        if each.refused_with is not None:
            raise CommandError(f"{each.call_sid} was ended by the gateway: {each.refused_with}")
        console.print(f"{each.call_sid}  hung up after {each.frames} frames")

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, together() as tasks:
        for number, each in enumerate(calls):
            tasks.create_task(one(number, each))


def _public(url: str) -> str:
    parts = urlsplit(url)
    try:
        valid = parts.scheme in ("ws", "wss") and parts.hostname and (parts.port or 1) > 0
    except ValueError:  # the port is no number, or too big a one
        valid = False
    if not valid:
        raise CommandError("--url must be ws://host[:port] or wss://host[:port]")
    return f"https://{parts.netloc}{parts.path.removesuffix('/media/twilio').rstrip('/')}"
