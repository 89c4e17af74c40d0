"""`./run transcribe`: streams a recording to an endpoint or a Realtime server."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from cli import running, words
from cli.audio.recording import Recording
from cli.errors import CommandError
from cli.model_server import (
    DEFAULT_MODEL,
    ApiKey,
    CaFile,
    Endpoint,
    EndpointUrl,
    Model,
    RealtimeUrl,
    Region,
    connect,
)
from deploy.local.processes import together
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Answer, Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.session import RealtimeSession
from gateway.upstream.transport import UpstreamTransport

_RATE_HZ: Final = 16_000
_CHUNK_MS: Final = 80  # one token of the model
_CHUNK_BYTES: Final = _RATE_HZ * 2 * _CHUNK_MS // 1000
_MAX_CHANNELS: Final = 8
_OPEN_TIMEOUT_S: Final = 20.0
_DONE_TIMEOUT_S: Final = 30.0


def transcribe(
    wav: Annotated[Path, typer.Argument(help="The recording: WAV, FLAC, MP3, Ogg, Opus ...")],
    endpoint: Endpoint = None,
    realtime_url: RealtimeUrl = None,
    model: Model = DEFAULT_MODEL,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
    ca_file: CaFile = None,
    api_key: ApiKey = None,
    mono: Annotated[
        bool, typer.Option("--mono", help="Mix the channels. Default: transcribe each as a party.")
    ] = False,
) -> None:
    """Transcribe a recording with a deployed model."""

    def transport() -> UpstreamTransport:
        return connect(endpoint, realtime_url, region, endpoint_url, ca_file, api_key)

    try:
        with Recording.open(wav) as recording:
            result = running.run(_transcribe(recording, mono, transport, model))
    except UpstreamError as error:
        server = endpoint or realtime_url
        raise CommandError(f"{server}: {error} (at fault: {error.fault})") from None
    first_s = result.first_word_s
    first = "no words" if first_s is None else f"first word after {first_s:.1f} s"
    Console(stderr=True).print(f"{result.audio_s:.1f} s of audio; {first}")


@dataclass(slots=True)
class Result:
    """Measurements of a transcription.

    Attributes:
        audio_s: seconds of audio sent.
        first_word_s: seconds from the first audio to the first word; None if there was no word.
    """

    audio_s: float = 0.0
    first_word_s: float | None = None


class Party:
    """Listener of one channel's session.

    Args:
        on_answer: called with each answer, including empty ones.
    """

    def __init__(self, on_answer: Callable[[Answer], None]) -> None:
        self.writable = asyncio.Event()
        self.ended = False
        self._on_answer = on_answer

    def on_answer(self, answer: Answer) -> None:
        """Display an answer."""
        self._on_answer(answer)

    def on_writable(self) -> None:
        """Resume sending."""
        self.writable.set()

    def on_ended(self, error: UpstreamError | None) -> None:
        """Stop sending; `finish` raises the error."""
        self.ended = True
        self.writable.set()


async def _transcribe(
    recording: Recording, mono: bool, connect: Callable[[], UpstreamTransport], model: str
) -> Result:
    """Stream a recording in one session per party and print the transcript."""
    channels = 1 if mono else recording.channels
    if channels > _MAX_CHANNELS:
        raise CommandError(
            f"{recording.path} has {channels} channels, a session each, and the limit is "
            f"{_MAX_CHANNELS}: mix them with --mono"
        )
    result = Result()
    begin_s = 0.0

    def note(answer: Answer) -> None:
        if answer.text and result.first_word_s is None:
            result.first_word_s = time.monotonic() - begin_s

    blocks = recording.pcm16(_RATE_HZ, mono=mono)
    first = await asyncio.to_thread(next, blocks)  # raises if there is no audio
    transport = connect()
    with words.display(channels, note) as displays:
        parties = [Party(on_answer) for on_answer in displays]
        sessions = [
            RealtimeSession(
                party, Voxtral().session(Options(model)), done_timeout_s=_DONE_TIMEOUT_S
            )
            for party in parties
        ]
        try:
            async with together() as tasks:
                for session in sessions:
                    tasks.create_task(session.open(transport, _OPEN_TIMEOUT_S))
            begin_s = time.monotonic()
            chunks = _cut(itertools.chain([first], blocks))
            result.audio_s = await _send(list(zip(sessions, parties, strict=True)), chunks)
            async with together() as tasks:
                for session in sessions:
                    tasks.create_task(session.finish())
        finally:
            await transport.close()
    return result


def _cut(blocks: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    """Cut the channels into chunks for the model; the last chunk may be shorter."""
    kept: list[bytes] = []
    for block in blocks:
        kept = [old + new for old, new in zip(kept, block, strict=True)] if kept else block
        whole = len(kept[0]) // _CHUNK_BYTES * _CHUNK_BYTES
        for at in range(0, whole, _CHUNK_BYTES):
            yield [channel[at : at + _CHUNK_BYTES] for channel in kept]
        kept = [channel[whole:] for channel in kept]
    if any(kept):
        yield kept


async def _send(
    sessions: list[tuple[RealtimeSession, Party]], chunks: Iterator[list[bytes]]
) -> float:
    """Send in real time, until all is sent or a session ends; return the seconds of audio sent.

    Raises:
        UpstreamError: the send window of a session stayed full.
    """
    begin_s, sent_s = time.monotonic(), 0.0
    # In a thread: reading a pipe may block, and the sessions must keep running.
    while chunk := await asyncio.to_thread(next, chunks, None):
        sent_s += len(chunk[0]) / 2 / _RATE_HZ
        # A chunk of live audio is complete only after its last sample was spoken.
        await asyncio.sleep(max(0.0, begin_s + sent_s - time.monotonic()))
        for (session, party), audio in zip(sessions, chunk, strict=True):
            await _append(session, party, audio)
            if party.ended:
                return sent_s
    return sent_s


async def _append(session: RealtimeSession, party: Party, audio: bytes) -> None:
    while not party.ended and not session.append(audio):
        party.writable.clear()
        try:
            async with asyncio.timeout(_DONE_TIMEOUT_S):
                await party.writable.wait()
        except TimeoutError:
            raise UpstreamError("send-timeout", "the window stays full") from None
