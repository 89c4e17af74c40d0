"""`./run call`: places calls to a gateway, as a carrier does."""

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
from cli.callers.driver import describe_close, place
from cli.callers.gateway import Gateway
from cli.callers.registry import CALLERS
from cli.errors import CommandError, UnreachableError
from cli.recordings import Inbound, Mono, Outbound, read_tracks
from common.settings import split_secrets
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import together

_TWILIO: Final = "GATEWAY_TWILIO_AUTH_TOKEN"
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")


def _parse_carrier(name: str) -> str:
    if name not in CALLERS:
        raise typer.BadParameter(f"one of {', '.join(CALLERS)} expected")
    return name


CARRIER: Final = typer.Option(
    parser=_parse_carrier,
    metavar="NAME",
    help=f"The carrier to play: {', '.join(CALLERS)}.",
)


def call(
    carrier: Annotated[str, CARRIER] = "twilio",
    inbound: Inbound = None,
    outbound: Outbound = None,
    mono: Mono = False,
    calls: Annotated[int, typer.Option(min=1, max=1000, help="Number of simultaneous calls.")] = 1,
    url: Annotated[
        str,
        typer.Option(
            help="ws(s)://host[:port][/prefix] of the gateway. Add /media/CARRIER[/ROUTE] to open "
            "the media socket without asking the webhook."
        ),
    ] = "ws://127.0.0.1:8000",
    auth_token: Annotated[
        str,
        typer.Option(
            envvar=_TWILIO,
            show_default="the token of ./run up",
            help="Twilio's auth token, which signs requests. Prefer the environment variable: "
            "other users of the machine can see arguments.",
        ),
    ] = CREDENTIALS[_TWILIO],
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="GATEWAY_PUBLIC_URL",
            help="The gateway's public URL, which is signed. Default: https and the host of --url.",
        ),
    ] = None,
) -> None:
    """Place calls with the stack of ./run up, or with any gateway.

    Credentials of the other carriers are read from the same environment variables as the gateway's
    (GATEWAY_TELNYX_SECRET ...); the default is the value of ./run up. Telnyx webhooks are signed
    with CALLER_TELNYX_PRIVATE_KEY, base64 of 32 bytes.
    """
    gateway = Gateway(url, public_url or _public(url))
    if gateway.media_path and gateway.media_path.split("/")[2] != carrier:
        raise CommandError(f"--url is not a media socket of {carrier}")
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
    """Return the first of several secrets; the JSON object of Genesys' keys is one value."""
    return secrets if secrets.startswith("{") else str(split_secrets(secrets)[0])


def _make(carrier: str, credentials: dict[str, str]) -> Caller:
    try:
        return CALLERS[carrier](credentials)
    except ValueError:  # its text may contain the secret
        raise CommandError(f"a credential of {carrier} is malformed") from None


async def _place_all(gateway: Gateway, caller: Caller, calls: list[Call]) -> None:
    """Place the calls; spread their starts over one second, because real ones do not coincide."""
    console = Console(highlight=False)

    async def one(number: int, each: Call) -> None:
        await asyncio.sleep(number / len(calls))
        console.print(f"{each.call_id}  calling {gateway.url}")
        await place(http, gateway, caller, each)
        if each.refused_with is not None:
            raise CommandError(
                f"{each.call_id} was ended by the gateway: {describe_close(each.refused_with)}"
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
    except ValueError:  # the port is not a number or exceeds 65535
        valid = False
    if not valid:
        raise CommandError("--url must be ws://host[:port] or wss://host[:port]")
    return f"https://{parts.netloc}{parts.path.partition('/media/')[0].rstrip('/')}"
