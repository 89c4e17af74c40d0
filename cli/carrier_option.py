"""The option by which a command learns as which carrier to call."""

from typing import Final

import typer

from cli.callers.registry import CALLERS


def _known(name: str) -> str:
    if name not in CALLERS:
        raise typer.BadParameter(f"one of {', '.join(CALLERS)} expected")
    return name


CARRIER: Final = typer.Option(
    parser=_known,
    metavar="NAME",
    help=f"Whose protocol to speak: {', '.join(CALLERS)}.",
)
