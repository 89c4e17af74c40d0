"""Placing a call: the webhook, the upgrades, and the media in real time. Knows no carrier.

Whatever the webhook's answer names, connections go to the gateway given: its public name need not
resolve here.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
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

_ANSWER_TIMEOUT_S: Final = 15.0  # what Twilio gives a webhook
_ANSWER_TIMEOUT: Final = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
_CLOSE_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=5.0)
_ABNORMAL_CLOSURE: Final = 1006  # RFC 6455: no close frame came
_MAX_DOCUMENT_BYTES: Final = 65_536
_SIGNED: Final = "; signed with its credentials, for its public URL?"
_HINTS: Final = {
    401: _SIGNED,
    403: _SIGNED,
    404: "; is it a gateway, and this carrier open there?",
    503: "; it has no capacity now, or is being stopped",
}


async def place(
    http: aiohttp.ClientSession, gateway: Gateway, caller: Caller, call: Call, *, pace: float = 1.0
) -> None:
    """Play a call to its end; `call` tells how far it came.

    Args:
        http: the client to use.
        gateway: where to.
        caller: as which carrier.
        call: what to play.
        pace: how much faster than real time.

    Raises:
        CommandError: the gateway cannot be reached, or refused the call.
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
        raise CommandError(f"{gateway.url}, asked as {caller.name}: {error}") from None


async def _announce(
    http: aiohttp.ClientSession, gateway: Gateway, caller: Caller, call: Call
) -> Sequence[Stream]:
    """Ask the webhook what to do with the call, if the carrier has one and the URL is its."""
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
        parts = urlsplit(address)  # what follows the carrier's name may be a secret
        prefix, media, rest = parts.path.partition("/media/")
        shown = f"{parts.scheme}://{parts.netloc}{prefix}{media}{rest.partition('/')[0]}"
        raise CommandError(f"{shown} {_refusal(error.status)}") from None


async def _converse(
    socket: aiohttp.ClientWebSocketResponse, dialogue: Dialogue, call: Call, pace: float
) -> None:
    """Send everything on time, and hang up, unless the gateway ends the stream before."""
    heard = asyncio.Event()
    ended = asyncio.create_task(_hear(socket, dialogue, heard))

    async def until(is_so: Callable[[], bool]) -> bool:
        """Wait for something to be heard; False if the stream ended before."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                while not is_so() and not ended.done():
                    heard.clear()
                    await heard.wait()
        except TimeoutError:
            raise CommandError(f"no answer within {_ANSWER_TIMEOUT_S:g} s") from None
        return is_so()

    async def open_up() -> bool:
        """Say the opening, each message when it may be; False if the stream ended before."""
        for message in dialogue.opening():
            await _send(socket, [message])
            if not await until(lambda: dialogue.may_speak):
                return False
        return True

    try:
        over = (
            await open_up()
            and await _speak(socket, dialogue, call, pace, ended)
            and await _send(socket, dialogue.closing())
            and await until(lambda: dialogue.may_hang_up)
        )
        if over:
            await socket.close()
        else:
            ended.result()  # raises what was wrong with a message, if something was
            call.refused_with = socket.close_code or _ABNORMAL_CLOSURE
    finally:
        ended.cancel()


async def _speak(
    socket: aiohttp.ClientWebSocketResponse,
    dialogue: Dialogue,
    call: Call,
    pace: float,
    ended: asyncio.Task[None],
) -> bool:
    """Send the media; False if the stream ended before."""
    begin_s = time.monotonic()
    for tick, group in enumerate(dialogue.media()):
        # By deadline, not by interval: what one frame is late the next does not inherit.
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


async def _hear(
    socket: aiohttp.ClientWebSocketResponse, dialogue: Dialogue, heard: asyncio.Event
) -> None:
    """Keep reading: pings are answered and a close is noticed only while somebody reads."""
    try:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                dialogue.receive(message.data)
            heard.set()
    finally:
        heard.set()


def _refusal(status: int) -> str:
    hint = _HINTS.get(status, "")
    return f"answered {status}{hint}"


def _cause(error: BaseException) -> str:
    """The operating system's words where there are some."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__
