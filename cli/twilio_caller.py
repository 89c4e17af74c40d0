"""The carrier's side of a call, as Twilio does it: webhook, signed upgrade, media in real time.

    POST <gateway>/voice/twilio      signed form; the answer is TwiML with <Stream url=...>
    GET  <gateway>/media/twilio      upgrade, signed over the wss URL that the TwiML names
    connected . start . media (both tracks, every 20 ms) . stop . close

Whatever the TwiML names, the connection goes to the gateway given: its public name need not resolve
here. Source of the messages: twilio.com/docs/voice/media-streams/websocket-messages.
"""

import asyncio
import base64
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree

import aiohttp
import msgspec

from cli.errors import CommandError
from cli.wav import MULAW_SILENCE
from gateway.carriers.signatures.twilio import SIGNATURE_HEADER, sign

FRAME_MS: Final = 20
FRAME_BYTES: Final = 160

_WEBHOOK_PATH: Final = "/voice/twilio"
_MEDIA_PATH: Final = "/media/twilio"
_ANSWER_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)  # what Twilio gives a webhook
_CLOSE_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=5.0)
_ABNORMAL_CLOSURE: Final = 1006  # RFC 6455: no close frame came
_ACCOUNT_SID: Final = "AC" + 32 * "0"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where calls go, and what the carrier knows about it."""

    url: str  # ws(s):// or http(s)://host:port; with /media/twilio the webhook is left out
    public_url: str  # what the gateway calls itself: signatures are over this
    auth_token: str | None = field(default=None, repr=False)  # None: nothing is signed

    @property
    def media_only(self) -> bool:
        """Whether to go straight to the media socket, without a webhook."""
        return urlsplit(self.url).path.rstrip("/").endswith(_MEDIA_PATH)

    def address(self, scheme: str, path: str) -> str:
        """The URL to connect to, e.g. ("ws", "/media/twilio"); TLS where the given URL has it."""
        parts = urlsplit(self.url)
        secure = "s" if parts.scheme in ("wss", "https") else ""
        prefix = parts.path.rstrip("/").removesuffix(_MEDIA_PATH)
        return f"{scheme}{secure}://{parts.netloc}{prefix}{path}"

    def signature(self, url: str, form: Mapping[str, str] | None = None) -> dict[str, str]:
        """The headers that prove a request to this public URL to be the carrier's."""
        if self.auth_token is None:
            return {}
        return {SIGNATURE_HEADER: sign(self.auth_token, url, (form or {}).items())}


@dataclass(slots=True)
class Call:
    """One call to place; its tracks are mu-law, 8 kHz, the shorter ones padded with silence."""

    tracks: Mapping[str, bytes] = field(repr=False)
    call_sid: str = field(default_factory=lambda: "CA" + secrets.token_hex(16))
    stream_sid: str = field(default_factory=lambda: "MZ" + secrets.token_hex(16))
    prepared: Sequence[Sequence[str]] | None = field(default=None, repr=False)  # media, if written
    first_frame_s: float | None = None  # monotonic, when the first media message went out
    frames: int = 0  # media messages sent
    refused_with: int | None = None  # close code, if the gateway ended the stream


async def place(
    http: aiohttp.ClientSession, gateway: Gateway, call: Call, *, pace: float = 1.0
) -> None:
    """Play a call to its end; `call` tells how far it came.

    Args:
        http: the client to use.
        gateway: where to.
        call: what to play.
        pace: how much faster than real time.

    Raises:
        CommandError: the gateway cannot be reached, or refused the call.
    """
    address = gateway.address("ws", _MEDIA_PATH)
    try:
        url, parameters = await _answer(http, gateway, call)
        headers = gateway.signature(url)
        async with http.ws_connect(address, headers=headers, timeout=_CLOSE_TIMEOUT) as socket:
            await _stream(socket, call, parameters, pace)
    except aiohttp.WSServerHandshakeError as error:
        raise CommandError(f"{address} {_refusal(error.status)}") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise CommandError(f"cannot reach {gateway.url}: {_cause(error)}") from None


def parse_twiml(document: str) -> tuple[str, dict[str, str]]:
    """Find the stream's URL and parameters in the webhook's answer.

    Raises:
        ValueError: there is none.
    """
    try:
        stream = ElementTree.fromstring(document).find("./Start/Stream")  # noqa: S314 (size-limited, and from the gateway under test)
    except ElementTree.ParseError:
        stream = None
    if stream is None or not (url := stream.get("url")):
        raise ValueError("no <Start><Stream url> in the answer")
    return url, {p.get("name", ""): p.get("value", "") for p in stream.iter("Parameter")}


def opening(call: Call, parameters: Mapping[str, str]) -> Iterator[str]:
    """Write what comes before media; `sampleRate` and `channels` are numbers, the rest is text."""
    yield _text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    start = {
        "accountSid": _ACCOUNT_SID,
        "streamSid": call.stream_sid,
        "callSid": call.call_sid,
        "tracks": list(call.tracks),
        "customParameters": dict(parameters),
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    yield _text(
        {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": call.stream_sid}
    )


def media(call: Call) -> Iterator[Sequence[str]]:
    """Write the call's media messages, one group of all tracks per 20 ms."""
    sequence = 1
    longest = max((len(audio) for audio in call.tracks.values()), default=0)
    for chunk, at in enumerate(range(0, longest, FRAME_BYTES), start=1):
        group = []
        for track, audio in call.tracks.items():
            sequence += 1
            frame = audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, MULAW_SILENCE)
            payload = base64.b64encode(frame).decode()
            group.append(
                f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}",'
                f'"chunk":"{chunk}","timestamp":"{(chunk - 1) * FRAME_MS}","payload":"{payload}"}},'
                f'"streamSid":"{call.stream_sid}"}}'
            )
        yield group


def stop(call: Call) -> str:
    """Write the last message, after `call.frames` media messages."""
    ids = {"accountSid": _ACCOUNT_SID, "callSid": call.call_sid}
    sequence = str(call.frames + 2)
    return _text(
        {"event": "stop", "sequenceNumber": sequence, "streamSid": call.stream_sid, "stop": ids}
    )


async def _answer(
    http: aiohttp.ClientSession, gateway: Gateway, call: Call
) -> tuple[str, dict[str, str]]:
    """Ask the webhook what to do with the call; gives the stream's URL and parameters."""
    if gateway.media_only:
        public = urlsplit(gateway.public_url)
        return f"wss://{public.netloc}{public.path.rstrip('/')}{_MEDIA_PATH}", {}
    form = {
        "AccountSid": _ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "CallSid": call.call_sid,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": "+15550100001",  # 555-01xx is reserved for fiction
        "To": "+15550100002",
    }
    headers = gateway.signature(gateway.public_url.rstrip("/") + _WEBHOOK_PATH, form)
    webhook = gateway.address("http", _WEBHOOK_PATH)
    async with http.post(webhook, data=form, headers=headers, timeout=_ANSWER_TIMEOUT) as response:
        if response.status != 200:
            raise CommandError(f"{webhook} {_refusal(response.status)}")
        document = (await response.content.read(65_536)).decode(errors="replace")
    try:
        return parse_twiml(document)
    except ValueError as error:
        raise CommandError(f"{webhook}: {error}") from None


async def _stream(
    socket: aiohttp.ClientWebSocketResponse, call: Call, parameters: Mapping[str, str], pace: float
) -> None:
    """Send everything on time, and hang up, unless the gateway ends the stream before."""
    ended = asyncio.create_task(_read_to_end(socket))
    try:
        for text in opening(call, parameters):
            await socket.send_str(text)
        begin_s = time.monotonic()
        for tick, group in enumerate(call.prepared or media(call)):
            # By deadline, not by interval: what one frame is late the next does not inherit.
            early_s = begin_s + tick * FRAME_MS / 1000 / pace - time.monotonic()
            if early_s > 0:
                await asyncio.sleep(early_s)
            if ended.done():
                call.refused_with = socket.close_code or _ABNORMAL_CLOSURE
                return
            if call.first_frame_s is None:
                call.first_frame_s = time.monotonic()
            for text in group:
                await socket.send_str(text)
            call.frames += len(group)
        await socket.send_str(stop(call))
        await socket.close()
    finally:
        ended.cancel()


async def _read_to_end(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Keep reading: pings are answered and a close is noticed only while somebody reads."""
    async for _ in socket:
        pass


def _text(message: Mapping[str, object]) -> str:
    return msgspec.json.encode(message).decode()


def _refusal(status: int) -> str:
    hint = "; signed with its auth token, for its public URL?" if status == 403 else ""
    return f"answered {status}{hint}"


def _cause(error: BaseException) -> str:
    """The operating system's words where there are some."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__
