"""`./run conform`: checks each rule of the Realtime API at a server, and prints a table."""

import asyncio
import math
import sys
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import typer
from aiohttp import ClientError, ClientSession
from rich.console import Console
from rich.table import Table

from cli import running
from cli.conform.dialogue import Difference, connected
from cli.conform.generations import GENERATIONS
from cli.conform.messages import MESSAGES
from cli.conform.rule import Rule, Server
from cli.errors import CommandError, UnreachableError
from cli.model_server import DEFAULT_MODEL, ApiKey, Model
from container.cpu.clock import TOKEN_MS, TokenClock

RULES: Final[tuple[Rule, ...]] = (*MESSAGES, *GENERATIONS)

_PIPE_WIDTH: Final = 200  # characters, without a terminal
_CONNECT_TIMEOUT_S: Final = 10.0
_RUN_TIMEOUT_S: Final = 600.0
_OUT_OF_TIME: Final = f"the command ends after {_RUN_TIMEOUT_S:.0f} s"
_FAILURES: Final = (
    ClientError,
    OSError,
    EOFError,
    ValueError,
    RecursionError,
    asyncio.LimitOverrunError,  # a response without the end of its headers
)


class Verdict(StrEnum):
    """Whether a server follows a rule."""

    EQUAL = "ok"
    DIFFERENT = "differs"
    NOT_CHECKED = "not checked"


class Result(NamedTuple):
    """The result of one rule; `note` says what differs, or what is missing to check it."""

    rule: str
    verdict: Verdict
    note: str = ""


def conform(
    url: Annotated[str, typer.Argument(help="ws(s)://host/v1/realtime of the server.")],
    model: Model = DEFAULT_MODEL,
    api_key: ApiKey = None,
    delay_ms: Annotated[
        int, typer.Option(min=80, max=2400, help="The model's transcription delay.")
    ] = 480,
    max_num_seqs: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Also check what happens above that many sessions."),
    ] = None,
    max_model_len: Annotated[
        int | None, typer.Option(min=1, help="Also check what happens when the context is full.")
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Also check the keep-alive pings: a minute and a half.")
    ] = False,
) -> None:
    """Compare a Realtime server with vLLM's Realtime API."""
    if not _is_socket_url(url):
        raise CommandError("the URL must be ws:// or wss://, such as ws://host:8000/v1/realtime")
    if delay_ms % TOKEN_MS:
        raise CommandError(f"--delay-ms must be a multiple of {TOKEN_MS}")

    async def check() -> list[Result]:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        async with ClientSession(headers=headers) as http:
            server = Server(
                http,
                url,
                model,
                TokenClock(delay_ms),
                max_num_seqs,
                max_model_len,
                has_api_key=api_key is not None,
                is_patient=slow,
            )
            await _connect(server)
            until_s = asyncio.get_running_loop().time() + _RUN_TIMEOUT_S
            return [await result_of(rule, server, until_s) for rule in RULES]

    results = running.run(check())
    _print(results)
    raise typer.Exit(int(any(result.verdict is Verdict.DIFFERENT for result in results)))


async def result_of(rule: Rule, server: Server, until_s: float = math.inf) -> Result:
    """Check one rule, before a time of the event loop's clock."""
    if missing := rule.lacks(server):
        return Result(rule.text, Verdict.NOT_CHECKED, missing)
    left_s = until_s - asyncio.get_running_loop().time()
    if left_s <= 0:
        return Result(rule.text, Verdict.NOT_CHECKED, _OUT_OF_TIME)
    limit_s = min(rule.timeout_s, left_s)
    try:
        async with asyncio.timeout(limit_s):
            await rule.check(server)
    except Difference as difference:
        return Result(rule.text, Verdict.DIFFERENT, str(difference))
    except TimeoutError:
        return Result(rule.text, Verdict.DIFFERENT, f"not finished within {limit_s:.0f} s")
    except _FAILURES as error:
        return Result(rule.text, Verdict.DIFFERENT, type(error).__name__)
    return Result(rule.text, Verdict.EQUAL)


async def _connect(server: Server) -> None:
    """Open a connection once, so that a wrong URL or key is one error and not a table of them."""
    host = urlsplit(server.url).netloc.rpartition("@")[2]  # without a password
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S), connected(server.http, server.url):
            pass
    except aiohttp.WSServerHandshakeError as error:
        raise UnreachableError(f"{host} refuses the upgrade: {error.status}") from None
    except (ClientError, OSError) as error:
        raise UnreachableError(f"{host}: {type(error).__name__}") from None


def _is_socket_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("ws", "wss") and bool(parts.hostname)


def _print(results: list[Result]) -> None:
    table = Table("result", "rule", "note", box=None, pad_edge=False)
    for rule, verdict, note in results:
        table.add_row(verdict, rule, note)
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(width=width, highlight=False, markup=False)
    console.print(table)
    counts = [sum(result.verdict is each for result in results) for each in Verdict]
    console.print("{} rules ok, {} differ, {} not checked".format(*counts))
