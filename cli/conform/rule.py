"""A rule of the Realtime API, and the server that it is checked against."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ClientSession

from cli.conform.dialogue import Dialogue, connected, expect
from container.cpu.clock import TokenClock

_SLACK_S: Final = 5.0  # that a ping may be late
_TIMEOUT_S: Final = 60.0
LONG_S: Final = 180.0  # two pings take 90 s; a full context is minutes of audio


@dataclass(frozen=True, slots=True)
class Server:
    """A Realtime server.

    Attributes:
        http: sends requests with the API key, if there is one.
        url: of its WebSocket.
        model: the name under which it serves the model.
        clock: the token clock at the model's delay.
        max_num_seqs: the number of sessions above which others wait; None if not known.
        max_model_len: tokens of its context; None if not known.
        has_api_key: whether it requires an API key.
        is_patient: whether rules that wait for keep-alive pings are checked.
        ping_every_s: the interval of its pings.
        timeout_s: limit of every wait for a message.
    """

    http: ClientSession
    url: str
    model: str
    clock: TokenClock
    max_num_seqs: int | None = None
    max_model_len: int | None = None
    has_api_key: bool = False
    is_patient: bool = False
    ping_every_s: float = 20.0
    timeout_s: float = 20.0

    @asynccontextmanager
    async def open(self, *, autoping: bool = True) -> AsyncIterator[Dialogue]:
        """Open a connection and receive `session.created`.

        Args:
            autoping: reply to pings. If False, they are received, and waits allow for two.
        """
        timeout_s = self.timeout_s if autoping else 2 * self.ping_every_s + _SLACK_S
        async with connected(self.http, self.url, autoping=autoping) as socket:
            dialogue = Dialogue(socket, timeout_s)
            expect((await dialogue.receive()).get("type"), "session.created", "first message")
            yield dialogue

    @asynccontextmanager
    async def validated(self) -> AsyncIterator[Dialogue]:
        """Open a connection and select the model."""
        async with self.open() as dialogue:
            await dialogue.update(self.model)
            yield dialogue

    def http_url(self, path: str) -> str:
        """Return the URL of an HTTP path of the server."""
        parts = urlsplit(self.url)
        return f"{parts.scheme.replace('ws', 'http', 1)}://{parts.netloc}{path}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        text: the rule, for the report.
        check: raises `Difference` if a server does not follow it.
        lacks: returns what is missing to check it, or "".
        timeout_s: limit of the whole check.
    """

    text: str
    check: Callable[[Server], Awaitable[None]]
    lacks: Callable[[Server], str] = lambda _: ""
    timeout_s: float = _TIMEOUT_S
