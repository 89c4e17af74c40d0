"""`./run call`: place calls against a gateway, as the carrier does."""

import asyncio
import os
from typing import Annotated, Final
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console

from cli import running
from cli.callers.call import Call
from cli.callers.caller import Caller
from cli.callers.close_codes import in_words
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.registry import CALLERS
from cli.carrier_option import CARRIER
from cli.errors import CommandError, UnreachableError
from cli.recordings import Inbound, Mono, Outbound, read_tracks
from common.settings import split_secrets
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together

_TWILIO: Final = "GATEWAY_TWILIO_AUTH_TOKEN"
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")


def call(
    carrier: Annotated[str, CARRIER] = "twilio",
    inbound: Inbound = None,
    outbound: Outbound = None,
    mono: Mono = False,
    calls: Annotated[int, typer.Option(min=1, max=1000, help="How many at once.")] = 1,
    url: Annotated[
        str,
        typer.Option(
            help="ws(s)://host[:port][/prefix]; with /media/CARRIER[/ROUTE], without a webhook."
        ),
    ] = "ws://127.0.0.1:8000",
    auth_token: Annotated[
        str,
        typer.Option(
            envvar=_TWILIO,
            show_default="that of ./run up",
            help="Signs as Twilio signs. Better in the environment than here.",
        ),
    ] = CREDENTIALS[_TWILIO],
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="GATEWAY_PUBLIC_URL",
            help="What the gateway calls itself. Default: https and the host of --url.",
        ),
    ] = None,
) -> None:
    """Place calls against the stack of ./run up, or any gateway.

    What another carrier signs with or shows is taken from the variables that the gateway is
    configured with (GATEWAY_TELNYX_SECRET ...), and is that of ./run up without them. Telnyx signs
    webhooks with its own key: CALLER_TELNYX_PRIVATE_KEY, base64 of 32 bytes.
    """
    gateway = Gateway(url, public_url or _public(url))
    if gateway.media_path and gateway.media_path.split("/")[2] != carrier:
        raise CommandError(f"--url is no media socket of {carrier}'s")
    own = {name: _first(os.environ[name]) for name in CREDENTIALS if name in os.environ}
    caller = _make(carrier, {**CREDENTIALS, **own, _TWILIO: auth_token})
    tracks = read_tracks(inbound, outbound, mono=mono)
    try:
        running.run(_place_all(gateway, caller, [Call(tracks) for _ in range(calls)]))
    except UnreachableError as error:
        if urlsplit(url).hostname not in _THIS_MACHINE:
            raise
        raise CommandError(f"{error}; start a gateway with ./run up in another terminal") from None


def _first(secrets: str) -> str:
    """Return the first of several secrets; the map of Genesys' is one."""
    return secrets if secrets.startswith("{") else str(split_secrets(secrets)[0])


def _make(carrier: str, credentials: dict[str, str]) -> Caller:
    try:
        return CALLERS[carrier](credentials)
    except ValueError:  # which one, its caller's class says; what it is, is nobody's business
        raise CommandError(f"a credential of {carrier}'s is malformed") from None


async def _place_all(gateway: Gateway, caller: Caller, calls: list[Call]) -> None:
    """Place the calls, their starts spread over a second as real ones never coincide."""
    console = Console(highlight=False)

    async def one(number: int, each: Call) -> None:
        await asyncio.sleep(number / len(calls))
        console.print(f"{each.call_id}  calling {gateway.url}")
        await place(http, gateway, caller, each)
        if each.refused_with is not None:
            raise CommandError(
                f"{each.call_id} was ended by the gateway: {in_words(each.refused_with)}"
            )
        console.print(f"{each.call_id}  hung up after {each.frames} frames")

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
    return f"https://{parts.netloc}{parts.path.partition('/media/')[0].rstrip('/')}"
