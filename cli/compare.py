"""`./run compare`: the same recordings through several servers, and a table of the results."""

import itertools
import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from cli import running, transcribe, words
from cli.audio.recording import Recording
from cli.errors import CommandError
from cli.lone_session import SEGMENT_PAUSE_MS, LoneSession
from cli.model_server import Language
from common.settings import SettingsError, sentences
from deploy.local.processes import together
from gateway.admission.endpoint import Access
from gateway.admission.routes import EndpointConfig, load_routes
from gateway.calls.placed_answers import PlacedAnswer
from gateway.errors import UpstreamError
from gateway.settings import Settings, Upstream
from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.upstream.dialects.registry import DialectName

_RATE_HZ: Final = 16_000
_PRICE: Final = r"(?:,(?P<price>\d+(?:\.\d+)?))?"
_NAMED: Final = re.compile(rf"(?P<name>[\w.-]+){_PRICE}")
_DIRECT: Final = re.compile(
    rf"(?P<dialect>{'|'.join(DialectName)}),(?P<url>wss?://[^,]+)(?:,(?P<model>[^,]*){_PRICE})?"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server to compare.

    Attributes:
        label: its name in the table.
        access: opens sessions there.
        price: per hour of audio.
    """

    label: str
    access: Access
    price: float | None


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
        typer.Argument(
            help="NAME[,PRICE] of an endpoint in the routes file, or DIALECT,URL[,MODEL[,PRICE]]; "
            "the price is per hour of audio."
        ),
    ],
    recording: Annotated[
        list[Path], typer.Option(help="A recording; its channels are mixed. May be repeated.")
    ],
    reference: Annotated[
        list[Path] | None, typer.Option(help="Text of each recording, in the same order.")
    ] = None,
    language: Language = None,
    routes: Annotated[
        Path | None,
        typer.Option(envvar="GATEWAY_ROUTES_FILE", help="The routes file that has the endpoints."),
    ] = None,
) -> None:
    """Compare servers with the same recordings.

    Endpoints of the routes file get their API keys from GATEWAY_REALTIME_API_KEYS, as in the
    gateway. A server given by its URL gets none.
    """
    references = [transcribe.read(path, language) for path in reference or []]
    if references and len(references) != len(recording):
        raise CommandError("pass one --reference for each --recording, or none")
    known = itertools.chain(references, itertools.repeat(None))
    console = Console()
    progress = Console(stderr=True)

    async def play_all() -> None:
        chosen = _servers(servers, routes, language)
        failures: dict[str, str] = {}
        table = Table(*("recording", "server", "WER", "first word", "final", "cost"))
        try:
            for path, text in zip(recording, known, strict=False):
                with progress.status(f"{path.name}, in real time, to {len(chosen)} servers"):
                    async with together() as tasks:
                        played = [tasks.create_task(_play(each, path)) for each in chosen]
                for server, task in zip(chosen, played, strict=True):
                    outcome = task.result()
                    cells = _row(server, outcome, text, language)
                    table.add_row(path.name, server.label, *cells)
                    if outcome.error:
                        failures[server.label] = outcome.error
                table.add_section()
        finally:
            for server in chosen:
                await server.access.transport.close()
            if table.row_count:
                console.print(table)
        if failures:
            raise CommandError("; ".join(f"{name}: {why}" for name, why in failures.items()))

    running.run(play_all())


def _servers(texts: list[str], routes: Path | None, language: str | None) -> list[Server]:
    """Parse what the command line says about the servers.

    Raises:
        CommandError: it is no server, or its settings can't be used.
    """
    try:
        settings = _settings(routes)
        endpoints = load_routes(settings).endpoints if routes else {}
        return [_server(text, endpoints, settings, language) for text in texts]
    except ValidationError as error:
        raise CommandError("; ".join(sentences(Settings, error))) from None
    except SettingsError as error:
        raise CommandError(str(error)) from None


def _settings(routes: Path | None) -> Settings:
    """Return the gateway's settings; a comparison needs neither its URL nor its upstream."""
    return Settings(
        public_url="https://unused.invalid",
        realtime_url="ws://unused.invalid",
        upstream=Upstream.WEBSOCKET,
        routes_file=routes,
    )


def _server(
    text: str, endpoints: Mapping[str, EndpointConfig], settings: Settings, language: str | None
) -> Server:
    # Imported here because it takes a second, and few commands need it.
    from gateway.app import access_to

    if match := _DIRECT.fullmatch(text):
        dialect, url, model = match["dialect"], match["url"], match["model"] or None
        config = EndpointConfig(url=url, dialect=DialectName(dialect), model=model)
        label, access = f"{dialect} {url}", replace(access_to(config, settings), api_key=None)
    elif (match := _NAMED.fullmatch(text)) and match["name"] in endpoints:
        label = match["name"]
        access = access_to(endpoints[label], settings)
    else:
        names = ", ".join(endpoints) or "no routes file was passed"
        raise CommandError(
            f"{text} is neither an endpoint ({names}) nor DIALECT,URL[,MODEL[,PRICE]] "
            f"with one of the dialects {', '.join(DialectName)}"
        )
    price = float(match["price"]) if match["price"] else None
    return Server(label, transcribe.speaking(access, language), price)


async def _play(server: Server, path: Path) -> Outcome:
    outcome = Outcome()
    listener = _Listener(outcome)
    try:
        session = LoneSession(server.access, listener.on_answer)
        with Recording.open(path) as recording:
            await session.open()
            listener.begin_s = time.monotonic()
            blocks = recording.pcm16(_RATE_HZ, mono=True)
            outcome.audio_s = await transcribe.send([session], transcribe.cut(blocks))
            await session.finish()
        listener.close()
    except UpstreamError as error:
        outcome.error = error.reason
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


def _row(
    server: Server, outcome: Outcome, reference: str | None, language: str | None
) -> list[str]:
    """Return the cells of the WER, the first word, the finals' median, and the cost."""
    if outcome.error:
        return [outcome.error, "", "", ""]
    found = None if reference is None else transcribe.process(reference, outcome.text, language)
    wrong = "" if found is None else f"{found.wer:.1%}"
    first = "" if outcome.first_word_s is None else f"{outcome.first_word_s:.1f} s"
    final = f"{statistics.median(outcome.finals_s):.1f} s" if outcome.finals_s else ""
    cost = "" if server.price is None else f"{server.price * outcome.audio_s / 3600:.4f}"
    return [wrong, first, final, cost]
