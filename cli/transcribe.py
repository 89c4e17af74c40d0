"""`./run transcribe`: stream a file straight to an endpoint or a Realtime server."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from cli import running
from cli.errors import CommandError
from cli.wav import read_pcm16
from gateway.errors import UpstreamError
from gateway.upstream.session import RealtimeSession
from gateway.upstream.transport import UpstreamTransport

MODEL: Final = "mistralai/Voxtral-Mini-4B-Realtime-2602"

_RATE_HZ: Final = 16_000
_CHUNK_MS: Final = 80  # one token of the model
_CHUNK_BYTES: Final = _RATE_HZ * 2 * _CHUNK_MS // 1000
_OPEN_TIMEOUT_S: Final = 20.0
_DONE_TIMEOUT_S: Final = 30.0


def transcribe(
    wav: Annotated[Path, typer.Argument(help="Any WAV file.")],
    endpoint: Annotated[str | None, typer.Option(help="Name of a SageMaker endpoint.")] = None,
    realtime_url: Annotated[
        str | None, typer.Option(help="ws(s)://host/v1/realtime of a vLLM server.")
    ] = None,
    model: Annotated[
        str, typer.Option(envvar="GATEWAY_MODEL", help="The name the model is served under.")
    ] = MODEL,
    region: Annotated[
        str | None, typer.Option(envvar="AWS_REGION", help="The endpoint's region.")
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(envvar="GATEWAY_SAGEMAKER_URL", help="Instead of the region's own URL."),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(envvar="GATEWAY_SAGEMAKER_CA_FILE", help="PEM of a private CA to trust."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="GATEWAY_REALTIME_API_KEY", help="The Realtime server's key."),
    ] = None,
) -> None:
    """Stream a WAV straight to a deployed model; print the words."""
    # Imported here: the SDK takes a second, and no other command needs it.
    from gateway.upstream.sagemaker import SageMakerTransport
    from gateway.upstream.websocket import WebSocketTransport

    def transport() -> UpstreamTransport:
        match endpoint, realtime_url:
            case str(name), None if region:
                return SageMakerTransport(name, region, url=endpoint_url, ca_file=ca_file)
            case str(), None:
                raise CommandError("--endpoint needs --region, or AWS_REGION")
            case None, str(url):
                return WebSocketTransport(url, api_key=api_key)
            case _:
                raise CommandError("say either --endpoint NAME or --realtime-url ws://...")

    audio = read_pcm16(wav, _RATE_HZ)
    try:
        first_word_s = running.run(_transcribe(audio, transport, model))
    except UpstreamError as error:
        asked = endpoint or realtime_url
        raise CommandError(f"{asked}: {error} (whose fault: {error.fault})") from None
    said = "no words" if first_word_s is None else f"first word after {first_word_s:.1f} s"
    Console(stderr=True).print(f"{len(audio) / 2 / _RATE_HZ:.1f} s of audio; {said}")


class Printer:
    """Hears a session, prints its words."""

    def __init__(self) -> None:
        self.first_word_s: float | None = None  # monotonic
        self.writable = asyncio.Event()
        self.ended = False

    def on_delta(self, text: str) -> None:
        """Print what was said."""
        if text and self.first_word_s is None:
            self.first_word_s = time.monotonic()
            text = text.lstrip()
        sys.stdout.write(text)
        sys.stdout.flush()

    def on_writable(self) -> None:
        """Let the audio flow again."""
        self.writable.set()

    def on_ended(self, error: UpstreamError | None) -> None:
        """Stop sending; `finish` raises the error."""
        self.ended = True
        self.writable.set()


async def _transcribe(
    audio: bytes, connect: Callable[[], UpstreamTransport], model: str
) -> float | None:
    """Stream the audio and print its words; gives when the first came, in seconds."""
    transport = connect()
    printer = Printer()
    session = RealtimeSession(printer, model=model, done_timeout_s=_DONE_TIMEOUT_S)
    try:
        await session.open(transport, _OPEN_TIMEOUT_S)
        begin_s = time.monotonic()
        await _send(session, printer, audio)
        await session.finish()
    finally:
        if printer.first_word_s is not None:
            sys.stdout.write("\n")
        await transport.close()
    return None if printer.first_word_s is None else printer.first_word_s - begin_s


async def _send(session: RealtimeSession, printer: Printer, audio: bytes) -> None:
    """Send in real time, by deadline; a window that stays full ends it."""
    begin_s = time.monotonic()
    for number, at in enumerate(range(0, len(audio), _CHUNK_BYTES), start=1):
        # A chunk exists when it has been spoken.
        await asyncio.sleep(max(0.0, begin_s + number * _CHUNK_MS / 1000 - time.monotonic()))
        chunk = audio[at : at + _CHUNK_BYTES]
        while not printer.ended and not session.append(chunk):
            printer.writable.clear()
            try:
                async with asyncio.timeout(_DONE_TIMEOUT_S):
                    await printer.writable.wait()
            except TimeoutError:
                raise UpstreamError("send-timeout", "the window stays full") from None
        if printer.ended:
            return
