"""`./run`: registers the commands and reports their failures."""

import os
import sys
from typing import Final

import typer

from cli import (
    archive,
    call,
    checks,
    compare,
    dead_letters,
    demo,
    export,
    fault_tests,
    govern,
    link,
    release,
    search,
    supply,
    tail,
    transcribe,
    up,
    wrapup,
)
from cli.bench import command as bench
from cli.capacity import command as capacity
from cli.conform import command as conform
from cli.errors import CommandError
from cli.push import command as push
from cli.rules import command as rules
from cli.soak import command as soak
from common.settings import SettingsError
from deploy.local.processes import ProcessFailed

_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it

app = typer.Typer(
    name="run",
    help="Callscribe: live transcripts of phone calls. Start with: ./run demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # print square brackets as they are
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(call.call)
app.command()(tail.tail)
app.command()(transcribe.transcribe)
app.command()(compare.compare)
app.command()(conform.conform)
app.command()(link.link)
app.command()(wrapup.wrapup)
app.command()(dead_letters.dead_letters)
app.add_typer(rules.app, name="rules")
app.command()(export.export)
app.add_typer(archive.app)
app.add_typer(push.app, name="push")
app.command()(search.search)
app.add_typer(govern.app)
app.command()(bench.bench)
app.command()(capacity.capacity)
app.command()(soak.soak)
app.command()(fault_tests.simulate)
app.command(context_settings={**checks.PASS_ON, "help_option_names": []})(fault_tests.faults)
app.command(context_settings={**checks.PASS_ON, "help_option_names": []})(fault_tests.mutate)
app.command(context_settings=checks.PASS_ON)(checks.test)
app.command()(checks.check)
app.command()(checks.fix)
app.command()(supply.lock)
app.command()(supply.sbom)
app.command()(supply.licences)
app.command()(supply.audit)
app.command()(release.release)


def main() -> None:
    """Run one command; report an error that the user can fix in one line on stderr, with code 2."""
    try:
        app(prog_name="./run")
    except (CommandError, SettingsError) as error:
        sys.stderr.write(f"run: {error}\n")
        sys.exit(2)
    except ProcessFailed as error:
        sys.stderr.write(f"run: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # e.g. ./run tail | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
