"""`./run faults`: inject every fault on every link at every moment of a call, on real sockets.

Plays 240 calls, several at once, and prints the outcomes as Markdown. Exits with 1 if a word was
lost without a declared gap, or repeated.
"""

import argparse
import asyncio
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from gateway import logs
from gateway.upstream.dialects.registry import DialectName
from tests import pace
from tests.faults import matrix
from tests.faults.matrix import Cell, Outcome
from tests.faults.stack import SERVERS, set_credentials
from tests.redis_servers import valkey

_CALLS_PER_CORE: Final = 6  # on an idle core; fewer on a busy one


def main() -> int:
    """Run the cells that the command line selects; return the exit code."""
    parser = argparse.ArgumentParser(prog="./run faults", description=__doc__)
    parser.add_argument("--only", default="", help="run only the cells whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    parser.add_argument(
        "--at-once", type=int, help="calls at once per process; by default depends on the load"
    )
    parser.add_argument("--json", action="store_true", help="print one outcome per line as JSON")
    parser.add_argument("--log", default="ERROR", help="log level of the gateways")
    parser.add_argument(
        "--dialect",
        type=DialectName,
        default=DialectName.VOXTRAL,
        help=f"of the endpoint: {', '.join(SERVERS)}",
    )
    parser.add_argument("--share", help=argparse.SUPPRESS)  # i/n: the share of a child process
    options = parser.parse_args()
    cells = [cell for cell in matrix.CELLS if options.only in str(cell)]
    if options.share:
        _play_share(cells, options)
        return 0
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        sys.stderr.write(f"\r{len(outcomes)} of {len(cells)} cells")

    asyncio.run(_play_shares(options, note))
    sys.stderr.write("\n")
    lines = [msgspec.json.encode(each).decode() for each in outcomes] if options.json else []
    print("\n".join(lines or [matrix.markdown(outcomes)]))  # noqa: T201 - the report
    is_whole = len(outcomes) == len(cells) and all(each.as_expected for each in outcomes)
    return 0 if is_whole else 1


async def _play_shares(options: argparse.Namespace, on_outcome: Callable[[Outcome], None]) -> None:
    """Distribute the cells to processes; report each outcome when it arrives."""
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        f"--only={options.only}",
        f"--log={options.log}",
        f"--dialect={options.dialect}",
    ]
    if options.at_once:
        command.append(f"--at-once={options.at_once}")

    async def play(number: int) -> None:
        share = await asyncio.create_subprocess_exec(
            *command, f"--share={number}/{options.jobs}", stdout=subprocess.PIPE, limit=1 << 20
        )
        assert share.stdout
        try:
            async for line in share.stdout:
                on_outcome(msgspec.json.decode(line, type=Outcome))
            await share.wait()
        finally:
            if share.returncode is None:
                share.kill()
                await share.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(1, options.jobs + 1):
            group.create_task(play(number))


def _play_share(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    set_credentials(os.environ.__setitem__)
    logs.configure(options.log)
    logging.getLogger().setLevel(options.log)
    first, _, step = options.share.partition("/")
    at_once = options.at_once or max(2, round(_CALLS_PER_CORE / pace.unit()))
    with valkey() as url, tempfile.TemporaryDirectory() as folder:
        uvloop.run(
            matrix.run(
                cells[int(first) - 1 :: int(step)],
                int(url.rpartition(":")[2]),
                Path(folder),
                at_once=at_once,
                dialect=options.dialect,
                on_outcome=lambda each: print(msgspec.json.encode(each).decode(), flush=True),  # noqa: T201
            )
        )


if __name__ == "__main__":
    sys.exit(main())
