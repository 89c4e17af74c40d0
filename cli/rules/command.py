"""`./run rules check`, `./run rules test`, `./run rules explain`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from cli import running
from cli.errors import CommandError
from cli.json_output import AsJson, print_json
from cli.rules import report
from cli.rules.calls import calls
from workers.assist.explain import explain
from workers.assist.load import RulesError, RulesUnreadableError, compile_file, read_file
from workers.assist.program import Ruleset
from workers.assist.replay import replay

_PIPE_WIDTH: Final = 160  # characters, without a terminal
_HELP: Final = "Check rules for alerts, and try them on calls."

File = Annotated[Path, typer.Argument(help="The rules file.", metavar="FILE")]
Calls = Annotated[
    list[str],
    typer.Argument(
        help="Ids of calls in Redis, or files that ./run tail --json wrote.", metavar="CALL..."
    ),
]
RedisUrl = Annotated[
    str, typer.Option(envvar="GATEWAY_REDIS_URL", help="URL of the gateway's Redis.")
]

app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(file: File) -> None:
    """Check a rules file; print each mistake with its line."""
    rules = _read(file).rules
    kinds = Counter(rule.kind for rule in rules)
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    typer.echo(f"{file}: {len(rules)} rules are valid ({summary or 'none'})")


@app.command()
def test(
    file: File,
    call: Calls,
    as_json: AsJson = False,  # noqa: PT028  # a command, not a test
    redis_url: RedisUrl = "redis://127.0.0.1:6379/0",  # noqa: PT028
) -> None:
    """Replay calls, and show which alerts the rules would have raised, and when."""
    running.run(_test(_read(file), call, redis_url, as_json=as_json))


@app.command(name="explain")
def explain_rule(
    file: File,
    call: Annotated[str, typer.Argument(help="The call: an id in Redis, or a recorded file.")],
    rule: Annotated[str, typer.Argument(help="The id of the rule.")],
    redis_url: RedisUrl = "redis://127.0.0.1:6379/0",
) -> None:
    """Explain why a rule raised no alert in a call, or when it did."""
    running.run(_explain(_read(file), call, rule, redis_url))


async def _test(ruleset: Ruleset, names: list[str], redis_url: str, *, as_json: bool) -> None:
    console = _console()
    results: list[dict[str, object]] = []
    async for call_id, events, until_ms in calls(names, redis_url):
        result = replay(ruleset, events, until_ms)
        if as_json:
            results.append(report.as_object(call_id, result))
            continue
        console.print(report.title(call_id, result))
        if result.alerts:
            console.print(report.timeline(result))
        console.print(report.total(ruleset.file, result))
        console.print()
    if as_json:
        print_json({"calls": results})


async def _explain(ruleset: Ruleset, name: str, rule: str, redis_url: str) -> None:
    console = _console()
    async for call_id, events, until_ms in calls([name], redis_url):
        try:
            sentences = explain(ruleset.file, rule, events, until_ms)
        except KeyError:
            known = ", ".join(each.id for each in ruleset.rules)
            raise CommandError(f"the file has no rule {rule}; it has {known}") from None
        console.print(Text.assemble((rule, "bold"), (f" in {call_id}", "dim")))
        for sentence in sentences:
            console.print(Text(f"  {sentence}"))


def _console() -> Console:
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False)


def _read(path: Path) -> Ruleset:
    """Return the rules of a file.

    Raises:
        CommandError: it can't be read, or has mistakes, which were printed.
    """
    try:
        return compile_file(read_file(path))
    except RulesUnreadableError as error:
        raise CommandError(f"{path}: {error}") from None
    except RulesError as error:
        for problem in error.problems:
            typer.echo(f"{path}:{problem}", err=True)
        count = len(error.problems)
        raise CommandError(f"{path}: {count} mistake{'' if count == 1 else 's'}") from None
