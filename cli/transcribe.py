"""`./run transcribe`: streams a recording to an endpoint or a Realtime server."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import jiwer
import typer
from rich.console import Console

from cli import running, words
from cli.audio.recording import Recording
from cli.errors import CommandError
from cli.lone_session import LoneSession
from cli.model_server import (
    DEFAULT_MODEL,
    ApiKey,
    CaFile,
    DialectOption,
    Endpoint,
    EndpointUrl,
    Language,
    Model,
    RealtimeUrl,
    Region,
    access_to,
)
from deploy.local.processes import together
from gateway.admission.endpoint import Access
from gateway.calls.placed_answers import PlacedAnswer
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Clock
from gateway.upstream.dialects.registry import DialectName

_RATE_HZ: Final = 16_000
_CHUNK_MS: Final = 80  # one token of the model
_CHUNK_BYTES: Final = _RATE_HZ * 2 * _CHUNK_MS // 1000
_MAX_CHANNELS: Final = 8
_WITHOUT_SPACES: Final = {"ja", "lo", "my", "th", "yue", "zh"}  # compared by characters


def transcribe(
    wav: Annotated[Path, typer.Argument(help="The recording: WAV, FLAC, MP3, Ogg, Opus ...")],
    endpoint: Endpoint = None,
    realtime_url: RealtimeUrl = None,
    model: Model = DEFAULT_MODEL,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
    ca_file: CaFile = None,
    api_key: ApiKey = None,
    dialect: DialectOption = DialectName.VOXTRAL,
    language: Language = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Text of what is said; the word error rate is printed."),
    ] = None,
    mono: Annotated[
        bool, typer.Option("--mono", help="Mix the channels. Default: transcribe each as a party.")
    ] = False,
) -> None:
    """Transcribe a recording with a deployed model."""
    known = None if reference is None else read(reference, language)

    def connect() -> Access:
        where = endpoint, realtime_url, region, endpoint_url, ca_file, api_key
        return speaking(access_to(*where, model, dialect), language)

    try:
        with Recording.open(wav) as recording:
            result = running.run(_transcribe(recording, mono, connect))
    except UpstreamError as error:
        server = endpoint or realtime_url
        raise CommandError(f"{server}: {error} (at fault: {error.fault})") from None
    first_s = result.first_word_s
    first = "no words" if first_s is None else f"first word after {first_s:.1f} s"
    console = Console(stderr=True, highlight=False)
    console.print(f"{result.audio_s:.1f} s of audio; {first}")
    if known is not None:
        console.print(_differences(process(known, " ".join(result.texts), language)))
        console.print(f"{result.unanswered_s:.1f} s of audio have no answer")


def speaking(access: Access, language: str | None) -> Access:
    """Return the access with a hint of the language, if its dialect can send one."""
    if not access.dialect.capabilities.language:
        return access
    return replace(access, options=replace(access.options, language=language))


def read(reference: Path, language: str | None) -> str:
    """Return the text of a file; raises CommandError."""
    try:
        text = reference.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {reference}: {error}") from None
    if not _plain(language)(text).strip():
        raise CommandError(f"{reference} has no words")
    return text


def process(reference: str, text: str, language: str | None) -> jiwer.WordOutput:
    """Compare the words of two texts; their spelling counts as little as their punctuation."""
    plain = _plain(language)
    return jiwer.process_words(plain(reference), plain(text))


@cache
def _plain(language: str | None) -> Callable[[str], str]:
    """Return Whisper's normalizer: the field compares models with it."""
    # Imported here because it takes half a second, and few commands need it.
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    code = (language or "en").split("-")[0].lower()
    plain: Callable[[str], str] = (
        EnglishTextNormalizer()
        if code == "en"
        else BasicTextNormalizer(split_letters=code in _WITHOUT_SPACES)
    )
    return plain


def _differences(found: jiwer.WordOutput) -> str:
    """Describe how a transcript differs from what was said."""
    count = found.hits + found.substitutions + found.deletions
    return (
        f"word error rate {found.wer:.1%} of {count} words: {found.substitutions} substituted, "
        f"{found.deletions} missing, {found.insertions} added"
    )


@dataclass(slots=True)
class Result:
    """Measurements of a transcription.

    Attributes:
        audio_s: seconds of audio sent.
        first_word_s: seconds from the first audio to the first word; None if there was no word.
        texts: the final transcript of each channel.
        unanswered_s: seconds of audio that the server has not answered, of all channels.
    """

    audio_s: float = 0.0
    first_word_s: float | None = None
    texts: list[str] = field(default_factory=list)
    unanswered_s: float = 0.0


async def _transcribe(recording: Recording, mono: bool, connect: Callable[[], Access]) -> Result:
    """Stream a recording in one session per party and print the transcript."""
    channels = 1 if mono else recording.channels
    if channels > _MAX_CHANNELS:
        raise CommandError(
            f"{recording.path} has {channels} channels, a session each, and the limit is "
            f"{_MAX_CHANNELS}: mix them with --mono"
        )
    result = Result()
    begin_s = 0.0

    def note(answer: PlacedAnswer) -> None:
        if answer.text and result.first_word_s is None:
            result.first_word_s = time.monotonic() - begin_s

    blocks = recording.pcm16(_RATE_HZ, mono=mono)
    first = await asyncio.to_thread(next, blocks)  # raises if there is no audio
    access = connect()
    is_plain = channels == 1 and access.dialect.capabilities.clock is Clock.AUDIO
    with words.display(channels, note, is_plain=is_plain) as displays:
        sessions = [LoneSession(access, each.on_answer) for each in displays]
        try:
            async with together() as tasks:
                for session in sessions:
                    tasks.create_task(session.open())
            begin_s = time.monotonic()
            chunks = cut(itertools.chain([first], blocks))
            result.audio_s = await send(sessions, chunks)
            async with together() as tasks:
                for session in sessions:
                    tasks.create_task(session.finish())
        finally:
            await access.transport.close()
    result.texts = [each.text for each in displays]
    result.unanswered_s = sum(result.audio_s - each.answered_ms / 1000 for each in sessions)
    return result


def cut(blocks: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
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


async def send(sessions: list[LoneSession], chunks: Iterator[list[bytes]]) -> float:
    """Send in real time, until all is sent or a session ends; return the seconds of audio sent.

    Raises:
        UpstreamError: a session did not accept audio for too long.
    """
    begin_s, sent_s = time.monotonic(), 0.0
    # In a thread: reading a pipe may block, and the sessions must keep running.
    while chunk := await asyncio.to_thread(next, chunks, None):
        sent_s += len(chunk[0]) / 2 / _RATE_HZ
        # A chunk of live audio is complete only after its last sample was spoken.
        await asyncio.sleep(max(0.0, begin_s + sent_s - time.monotonic()))
        for session, audio in zip(sessions, chunk, strict=True):
            await session.append(audio)
            if session.ended:
                return sent_s
    return sent_s
