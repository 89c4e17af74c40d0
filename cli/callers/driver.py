"""Places a call for any carrier: the webhook, the upgrades, and the media in real time.

Connections always go to the given gateway, whichever host the webhook's answer names, because the
gateway's public name need not resolve on this machine.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from cli.callers.call import Call, Message
from cli.callers.caller import AnnouncingCaller, Caller, Dialogue, Stream
from cli.callers.frames import FRAME_MS
from cli.callers.gateway import Gateway
from cli.errors import CommandError, UnreachableError
from common.http_body import read_bounded
from deploy.local.processes import together

_ANSWER_TIMEOUT_S: Final = 15.0  # Twilio's timeout for webhooks
_ANSWER_TIMEOUT: Final = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
_CLOSE_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=5.0)
_ABNORMAL_CLOSURE: Final = 1006  # RFC 6455: no close frame came
_MAX_DOCUMENT_BYTES: Final = 65_536
_UNAUTHORIZED: Final = "; check the credentials and the public URL, which signatures cover"
_HINTS: Final = {
    401: _UNAUTHORIZED,
    403: _UNAUTHORIZED,
    404: "; check that it is a gateway and that this carrier is enabled there",
    503: "; the gateway has no capacity or is shutting down",
}
# By WebSocket close code. docs/reliability.md lists the reasons for each.
_CLOSE_MEANINGS: Final[Mapping[int, str]] = {
    1000: "the call is over",
    1001: "the peer is going away",
    1002: "messages in an order that the carrier's protocol does not allow",
    1003: "audio or messages of an unsupported kind",
    1006: "the connection broke off without a close frame",
    1007: "a message that cannot be parsed",
    1008: "the call was rejected, or has no route: see the gateway's log for the reason",
    1009: "a message that is too big",
    1010: "an extension is missing",
    1011: "the gateway failed: see its log",
    1012: "the gateway is restarting or draining: call again",
    1013: "no capacity for the call now: try again later",
    1014: "a proxy received an invalid response",
    1015: "TLS failed",
}


async def place(
    http: aiohttp.ClientSession, gateway: Gateway, caller: Caller, call: Call, *, pace: float = 1.0
) -> None:
    """Play a call to its end and record its progress in `call`.

    Args:
        http: the client to use.
        gateway: the gateway to call.
        caller: the carrier to play.
        call: the call to play.
        pace: the speed, as a multiple of real time.

    Raises:
        CommandError: the gateway cannot be reached or refused the call.
    """
    try:
        streams = await _announce(http, gateway, caller, call)
        async with together() as tasks:
            for stream in streams:
                address = gateway.media_address(stream.url)
                tasks.create_task(_play(http, address, stream, call, pace))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UnreachableError(f"cannot reach {gateway.url}: {_cause(error)}") from None
    except ValueError as error:
        raise CommandError(f"{gateway.url}, called as {caller.name}: {error}") from None


def describe_close(code: int) -> str:
    """Return the meaning of a WebSocket close code, with the code."""
    return f"{_CLOSE_MEANINGS.get(code, 'unknown meaning')} (close code {code})"


async def _announce(
    http: aiohttp.ClientSession, gateway: Gateway, caller: Caller, call: Call
) -> Sequence[Stream]:
    """Return the sockets to open.

    Calls the webhook if the carrier has one and the gateway's URL names no media socket.
    """
    now_s = time.time()
    media = gateway.media_path
    if media is None and isinstance(caller, AnnouncingCaller):
        path = f"/voice/{caller.name}"
        request = caller.webhook(call, gateway.public("http", path), now_s)
        address = gateway.address("http", path)
        async with http.post(
            address, data=request.body, headers=request.headers, timeout=_ANSWER_TIMEOUT
        ) as response:
            if response.status != 200:
                raise CommandError(f"{address} {_refusal(response.status)}")
            document = await read_bounded(response, _MAX_DOCUMENT_BYTES)
        return caller.answered(call, document, now_s)
    return caller.direct(call, gateway.public("ws", media or f"/media/{caller.name}"), now_s)


async def _play(
    http: aiohttp.ClientSession, address: str, stream: Stream, call: Call, pace: float
) -> None:
    try:
        async with http.ws_connect(
            address,
            headers=stream.headers,
            protocols=stream.subprotocols,
            timeout=_CLOSE_TIMEOUT,
        ) as socket:
            await _converse(socket, stream.dialogue, call, pace)
    except aiohttp.WSServerHandshakeError as error:
        parts = urlsplit(address)  # the path after the carrier's name may contain a secret
        prefix, media, rest = parts.path.partition("/media/")
        shown = f"{parts.scheme}://{parts.netloc}{prefix}{media}{rest.partition('/')[0]}"
        raise CommandError(f"{shown} {_refusal(error.status)}") from None


async def _converse(
    socket: aiohttp.ClientWebSocketResponse, dialogue: Dialogue, call: Call, pace: float
) -> None:
    """Send all messages on time and close the socket, unless the gateway ends the stream first."""
    received = asyncio.Event()
    ended = asyncio.create_task(_receive(socket, dialogue, received))

    async def until(is_met: Callable[[], bool]) -> bool:
        """Wait for a condition that received messages change; False if the stream ended first."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                while not is_met() and not ended.done():
                    received.clear()
                    await received.wait()
        except TimeoutError:
            raise CommandError(f"no answer within {_ANSWER_TIMEOUT_S:g} s") from None
        return is_met()

    async def open_stream() -> bool:
        """Send the opening, with the waits between its messages; False if the stream ended."""
        for message in dialogue.opening():
            await _send(socket, [message])
            if not await until(lambda: dialogue.may_speak):
                return False
        return True

    try:
        complete = (
            await open_stream()
            and await _send_media(socket, dialogue, call, pace, ended)
            and await _send(socket, dialogue.closing())
            and await until(lambda: dialogue.may_hang_up)
        )
        if complete:
            await socket.close()
        else:
            ended.result()  # raises the error of a malformed message
            call.refused_with = socket.close_code or _ABNORMAL_CLOSURE
    finally:
        ended.cancel()


async def _send_media(
    socket: aiohttp.ClientWebSocketResponse,
    dialogue: Dialogue,
    call: Call,
    pace: float,
    ended: asyncio.Task[None],
) -> bool:
    """Send the media in real time; return False if the stream ended first."""
    begin_s = time.monotonic()
    for tick, group in enumerate(dialogue.media()):
        # By deadline, not by interval, so that one late frame does not delay all later ones.
        early_s = begin_s + tick * FRAME_MS / 1000 / pace - time.monotonic()
        if early_s > 0:
            await asyncio.sleep(early_s)
        if ended.done():
            return False
        if call.first_frame_s is None:
            call.first_frame_s = time.monotonic()
        await _send(socket, group)
        call.frames += len(group)
    return True


async def _send(socket: aiohttp.ClientWebSocketResponse, messages: Iterable[Message]) -> bool:
    for message in messages:
        if isinstance(message, str):
            await socket.send_str(message)
        else:
            await socket.send_bytes(message)
    return True


async def _receive(
    socket: aiohttp.ClientWebSocketResponse, dialogue: Dialogue, received: asyncio.Event
) -> None:
    """Read until the socket is closed; aiohttp answers pings and detects a close only in reads."""
    try:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                dialogue.receive(message.data)
            received.set()
    finally:
        received.set()


def _refusal(status: int) -> str:
    hint = _HINTS.get(status, "")
    return f"answered {status}{hint}"


def _cause(error: BaseException) -> str:
    """Return the operating system's error message, if there is one."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__
