"""`./run compare`: the same recordings through several servers, and a table of the results."""

import asyncio
import itertools
import re
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from cli import running, transcribe, words
from cli.audio.recording import Recording
from cli.errors import CommandError
from cli.lone_session import SEGMENT_PAUSE_MS, LoneSession
from cli.model_server import DEFAULT_MODEL, ApiKey, connect
from gateway.calls.model_session import PlacedAnswer
from gateway.errors import UpstreamError
from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import DialectName, make_dialect

_RATE_HZ: Final = 16_000
_DIALECTS: Final = "|".join(DialectName)
_SERVER: Final = re.compile(rf"({_DIALECTS}),(\w+://[^,]+)(?:,([^,]*)(?:,(\d+(?:\.\d+)?))?)?")


@dataclass(frozen=True, slots=True)
class Server:
    """A server to compare."""

    dialect: DialectName
    url: str
    model: str
    price: float | None  # per hour of audio

    @classmethod
    def parse(cls, text: str) -> "Server":
        """Parse DIALECT,URL[,MODEL[,PRICE]].

        Raises:
            CommandError: it is something else.
        """
        match = _SERVER.fullmatch(text)
        if match is None:
            names = ", ".join(DialectName)
            raise CommandError(f"{text}: pass DIALECT,URL[,MODEL[,PRICE]]; dialects: {names}")
        dialect, url, model, price = match.groups()
        return cls(
            DialectName(dialect), url, model or DEFAULT_MODEL, float(price) if price else None
        )


@dataclass(slots=True)
class Outcome:
    """What one server did with one recording.

    Attributes:
        audio_s: seconds of audio.
        first_word_s: seconds from the first audio to the first word; None without words.
        finals_s: for each final, seconds from the end of its words to it.
        text: the transcript.
        error: why the session failed.
    """

    audio_s: float = 0.0
    first_word_s: float | None = None
    finals_s: list[float] = field(default_factory=list)
    text: str = ""
    error: str = ""


def compare(
    servers: Annotated[
        list[str],
        typer.Argument(help="DIALECT,URL[,MODEL[,PRICE]] of each server; the price per hour."),
    ],
    recording: Annotated[
        list[Path], typer.Option(help="A recording; its channels are mixed. May be repeated.")
    ],
    reference: Annotated[
        list[Path] | None, typer.Option(help="Text of each recording, in the same order.")
    ] = None,
    api_key: ApiKey = None,
) -> None:
    """Compare servers with the same recordings."""
    chosen = [Server.parse(each) for each in servers]
    references = [transcribe.read(path) for path in reference or []]
    if references and len(references) != len(recording):
        raise CommandError("pass one --reference for each --recording, or none")
    table = Table("server", "recording", "WER", "first word", "final", "cost")
    for path, known in itertools.zip_longest(recording, references):
        for server, outcome in zip(
            chosen, running.run(_play_all(chosen, path, api_key)), strict=True
        ):
            table.add_row(
                f"{server.dialect} {server.url}", path.name, *_row(server, outcome, known)
            )
    Console().print(table)


async def _play_all(servers: list[Server], path: Path, api_key: str | None) -> list[Outcome]:
    """Play a recording to all servers at once."""
    return await asyncio.gather(*(_play(server, path, api_key) for server in servers))


async def _play(server: Server, path: Path, api_key: str | None) -> Outcome:
    outcome, dialect = Outcome(), make_dialect(server.dialect)
    transport = connect(None, server.url, None, None, None, api_key, dialect)
    listener = _Listener(outcome)
    session = LoneSession(dialect, Options(server.model), transport, listener.on_answer)
    try:
        with Recording.open(path) as recording:
            await session.open()
            listener.begin_s = time.monotonic()
            blocks = recording.pcm16(_RATE_HZ, mono=True)
            outcome.audio_s = await transcribe.send([session], transcribe.cut(blocks))
            await session.finish()
        listener.close()
    except UpstreamError as error:
        outcome.error = error.reason
    finally:
        await transport.close()
    return outcome


class _Listener:
    """Measures one session's answers."""

    def __init__(self, outcome: Outcome) -> None:
        self.begin_s = 0.0
        self._outcome = outcome
        self._segmenter = Segmenter("inbound", "unknown", pause_ms=SEGMENT_PAUSE_MS)

    def on_answer(self, answer: PlacedAnswer) -> None:
        """Process an answer."""
        if answer.text and self._outcome.first_word_s is None:
            self._outcome.first_word_s = time.monotonic() - self.begin_s
        self._keep(words.segment(self._segmenter, answer))

    def close(self) -> None:
        """Close the last segment."""
        self._keep(self._segmenter.close(FinalReason.HANGUP))

    def _keep(self, events: list[TranscriptDelta | TranscriptFinal]) -> None:
        now_s = time.monotonic() - self.begin_s
        for event in events:
            if isinstance(event, TranscriptFinal):
                self._outcome.text = f"{self._outcome.text} {event.text}".strip()
                self._outcome.finals_s.append(now_s - event.end_ms / 1000)


def _row(server: Server, outcome: Outcome, reference: str | None) -> list[str]:
    """Return the cells of the WER, the first word, the finals' median, and the cost."""
    if outcome.error:
        return [outcome.error, "", "", ""]
    wrong = "" if reference is None else f"{transcribe.process(reference, outcome.text).wer:.1%}"
    first = "" if outcome.first_word_s is None else f"{outcome.first_word_s:.1f} s"
    final = f"{statistics.median(outcome.finals_s):.1f} s" if outcome.finals_s else ""
    cost = "" if server.price is None else f"{server.price * outcome.audio_s / 3600:.4f}"
    return [wrong, first, final, cost]
