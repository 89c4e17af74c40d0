"""`./run capacity`: tries more and more sessions, and reports how many a server keeps up with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from cli import recordings, running
from cli.audio.recording import Recording
from cli.capacity import steps
from cli.capacity.picture import svg
from cli.capacity.probe import CHUNK_BYTES, CHUNK_S, measure
from cli.capacity.steps import Level, Limits, next_sessions, problem
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
    access_to,
)
from gateway.admission.endpoint import Access

_RATE_HZ: Final = 16_000
_LONGEST_S: Final = 300
_FINISH_S: Final = 5  # of a step beside its audio, roughly
_SLOW_S: Final = 1.5  # a lag of one session alone that no call should have
_LIMITS: Final = Limits(first_delta_s=1.0, lag_s=0.5, word_errors=0.05)


def capacity(
    endpoint: Endpoint = None,
    realtime_url: RealtimeUrl = None,
    model: Model = DEFAULT_MODEL,
    region: Region = None,
    endpoint_url: EndpointUrl = None,
    ca_file: CaFile = None,
    api_key: ApiKey = None,
    recording: Annotated[
        Path | None,
        typer.Option(help="Speech that each session plays. Default: a reader, 44 s."),
    ] = None,
    most: Annotated[
        int, typer.Option(help="The largest number of sessions to try.", min=1, max=1000)
    ] = 32,
    price: Annotated[
        float, typer.Option(help="What the server costs per hour, to estimate the cost.", min=0)
    ] = 0,
    picture: Annotated[Path, typer.Option(help="Where to write the picture.")] = Path(
        "capacity.svg"
    ),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the start.")] = False,
) -> None:
    """Measure how many sessions a model server keeps up with.

    Each session plays real speech, like one track of a call. Their number grows until they fail,
    lag or differ from one session alone. The server should do nothing else meanwhile.
    """
    console = Console(stderr=True)
    chunks = _chunks(recording or recordings.two_cities())
    step_s = len(chunks) * CHUNK_S + _FINISH_S
    longest_s = steps.most_steps(most) * step_s
    cost = f", {longest_s / 3600 * price:.2f} at {price:g} per hour" if price else ""
    console.print(f"Up to {most} sessions, for at most {longest_s / 60:.0f} min{cost}.")
    if not yes and not typer.confirm("Start?", err=True):
        raise typer.Exit(1)
    access = access_to(endpoint, realtime_url, region, endpoint_url, ca_file, api_key, model)
    levels = running.run(_search(access, chunks, most, console))
    problems = {level.sessions: problem(level, levels[0], _LIMITS) for level in levels}
    Console().print(_table(levels, problems))
    try:
        title = endpoint or realtime_url or ""
        picture.write_text(_picture(title, levels, problems), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{picture} can't be written: {error.strerror}") from None
    best = max((number for number, why in problems.items() if not why), default=0)
    console.print(f"{_conclusion(best, most, levels[0])} Picture: {picture}")


def _conclusion(best: int, most: int, alone: Level) -> str:
    if alone.lag_s > _SLOW_S:
        return f"One session alone lags by {alone.lag_s:.1f} s: the server is too slow, or busy."
    if best == most:
        return f"The server kept up with all {most} sessions; try more with --most."
    return f"The server kept up with {best} session{'' if best == 1 else 's'}."


async def _search(
    access: Access,
    chunks: Sequence[bytes],
    most: int,
    console: Console,
) -> list[Level]:
    """Return the measurements; the first one is that of one session.

    Raises:
        CommandError: one session alone fails.
    """
    levels: list[Level] = []
    kept_up, failed = list[int](), list[int]()
    alone = ""
    try:
        while number := next_sessions(kept_up, failed, most):
            with console.status(f"{number} sessions, {len(chunks) * CHUNK_S:.0f} s"):
                level, alone = await measure(access, chunks, number, alone)
            levels.append(level)
            why = problem(level, levels[0], _LIMITS)
            if why and number == 1:
                raise CommandError(why)
            (failed if why else kept_up).append(number)
            console.print(f"{number:4} sessions: {why or 'kept up'}")
    finally:
        await access.transport.close()
    return levels


def _chunks(path: Path) -> list[bytes]:
    """Read a recording in chunks of 80 ms, without an incomplete last one."""
    with Recording.open(path) as opened:
        audio = b"".join(block[0] for block in opened.pcm16(_RATE_HZ, mono=True))
    whole = len(audio) // CHUNK_BYTES
    if not 1 <= whole * CHUNK_S <= _LONGEST_S:
        raise CommandError(f"{path} must have 1 to {_LONGEST_S} s of audio")
    return [audio[at * CHUNK_BYTES : (at + 1) * CHUNK_BYTES] for at in range(whole)]


def _picture(title: str, levels: Sequence[Level], problems: dict[int, str]) -> str:
    alone = levels[0]
    charts = (
        (
            "First delta, s (95 %)",
            lambda level: level.first_delta_s,
            alone.first_delta_s + _LIMITS.first_delta_s,
        ),
        ("Lag of deltas, s (95 %)", lambda level: level.lag_s, alone.lag_s + _LIMITS.lag_s),
        (
            "Words that differ from one session alone",
            lambda level: level.word_errors,
            _LIMITS.word_errors,
        ),
    )
    failed = {number for number, why in problems.items() if why}
    return svg(f"Sessions at the same time: {title}", levels, charts, failed)


def _table(levels: Sequence[Level], problems: dict[int, str]) -> Table:
    shown = Table("sessions", "failed", "first delta", "lag", "words that differ", "result")
    for level in sorted(levels, key=lambda each: each.sessions):
        shown.add_row(
            str(level.sessions),
            str(level.failed),
            f"{level.first_delta_s:.2f} s",
            f"{level.lag_s:.2f} s",
            f"{level.word_errors:.1%}",
            problems[level.sessions] or "kept up",
        )
    return shown
