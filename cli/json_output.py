"""The option `--json` of commands that also report for people, and what it prints."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
import typer

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object to stdout, everything else to stderr."),
]


def print_json(report: Mapping[str, object]) -> None:
    """Print a report as one JSON object."""
    print(msgspec.json.encode(report).decode())  # noqa: T201 (the command's product)
