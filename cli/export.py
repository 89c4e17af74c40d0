"""`./run export`: the transcript of one call as a file, from the archive or from Redis."""

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import events, running
from cli.archive import opened, read_id
from cli.errors import CommandError
from cli.govern import actor
from common.settings import load
from gateway.transcript.encode import rfc3339_ms
from workers.archive.evidence import Evidence
from workers.archive.folding import Problem
from workers.archive.formats import FORMATS
from workers.archive.reading import locate, read_into
from workers.archive.record import CallRecord, Text
from workers.archive.settings import Settings
from workers.governance.stores import StoreError
from workers.governance.trail import Trail


class Format(StrEnum):
    """A file format."""

    JSON = "json"
    VTT = "vtt"
    TXT = "txt"
    CSV = "csv"


class Source(StrEnum):
    """Where the call is read."""

    ARCHIVE = "archive"
    REDIS = "redis"


type _Found = tuple[CallRecord, list[Problem]]


def export(
    call_id: Annotated[str, typer.Argument(help="The call, by its id.")],
    file_format: Annotated[
        Format, typer.Option("--format", help="The format of the file.")
    ] = Format.JSON,
    text: Annotated[
        Text, typer.Option(help="Which text: redacted (from the worker redact) or raw.")
    ] = Text.REDACTED,
    source: Annotated[
        Source | None,
        typer.Option("--from", help="Default: the archive if it has the call, else Redis."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The file. Default: stdout.")] = None,
    redis_url: Annotated[
        str, typer.Option(envvar="WORKER_REDIS_URL", help="URL of the workers' Redis.")
    ] = "redis://127.0.0.1:6379/0",
) -> None:
    """Write the transcript of one call to a file.

    A call that is live is written as far as it is known. What is missing is named on stderr.
    """
    call = read_id(call_id)
    record, problems = running.run(_read(call, text, source, redis_url))
    running.run(note(redis_url, "call-exported", call, text))
    for problem in problems:
        typer.echo(f"incomplete: {problem}", err=True)
    content = FORMATS[file_format](record).encode()
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        output.touch(mode=0o600)
        output.write_bytes(content)
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}") from None


async def _read(call_id: str, text: Text, source: Source | None, redis_url: str) -> _Found:
    settings = load(Settings)
    if source is Source.ARCHIVE or (source is None and settings.url):
        if found := await _archived(settings, call_id, text):
            return found
        if source is Source.ARCHIVE:
            raise CommandError(f"the archive has no {text} text of the call {call_id}")
    return await _live(redis_url, call_id, text)


async def note(redis_url: str, action: str, call_id: str, text: str) -> None:
    """Append an action to the audit trail, if Redis is available and the user may."""
    who = actor()
    entry = {"action": action, "who": who.name, "subject": who.subject, "text": text}
    try:
        async with events.connect(redis_url) as redis:
            at = rfc3339_ms(time.time())
            await Trail(redis).append([{"at": at, **entry, "call_id": call_id}])
    except (CommandError, StoreError):
        typer.echo("not in the audit trail: Redis is unavailable, or the user may not", err=True)


async def _archived(settings: Settings, call_id: str, text: Text) -> _Found | None:
    async with opened(settings, text) as store:
        found = await store.read_call(call_id)
    return (found.record, found.manifest.problems) if found else None


async def _live(redis_url: str, call_id: str, text: Text) -> _Found:
    evidence = Evidence(call_id, text)
    async with events.connect(redis_url) as redis:
        partition = await locate(redis, call_id, text, events.PARTITIONS)
        await read_into(evidence, redis, partition, text)
    record = evidence.fold.record()
    if not record.streams:
        other = next(each for each in Text if each is not text)
        raise CommandError(
            f"Redis has no {text} text of the call {call_id}; --text {other} is the other kind"
        )
    return record, evidence.fold.problems()
