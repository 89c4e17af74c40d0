"""`./run faults`: every fault on every link at every moment of a call, on real sockets.

Plays 240 calls, some at once, and prints what became of each as Markdown. Exit code 1 if a word was
lost or repeated without being declared.
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
from tests import pace
from tests.faults import matrix
from tests.faults.matrix import Cell, Outcome
from tests.faults.stack import know_credentials
from tests.redis_servers import valkey

_CALLS_PER_CORE: Final = 6  # on an idle core; fewer on one that is busy


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="./run faults", description=__doc__)
    parser.add_argument("--only", default="", help="the cells whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument(
        "--at-once", type=int, help="calls at once in each; by default what the cores are free for"
    )
    parser.add_argument("--json", action="store_true", help="print one outcome a line")
    parser.add_argument("--log", default="ERROR", help="level of the gateways' logs")
    parser.add_argument("--share", help=argparse.SUPPRESS)  # i/n: what a process of ours plays
    asked = parser.parse_args()
    cells = [cell for cell in matrix.CELLS if asked.only in str(cell)]
    if asked.share:
        _play_share(cells, asked)
        return 0
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        sys.stderr.write(f"\r{len(outcomes)} of {len(cells)} cells")

    asyncio.run(_play_shares(asked, note))
    sys.stderr.write("\n")
    lines = [msgspec.json.encode(each).decode() for each in outcomes] if asked.json else []
    print("\n".join(lines or [matrix.markdown(outcomes)]))  # noqa: T201 - the report
    is_whole = len(outcomes) == len(cells) and all(each.as_expected for each in outcomes)
    return 0 if is_whole else 1


async def _play_shares(asked: argparse.Namespace, on_outcome: Callable[[Outcome], None]) -> None:
    """Share the cells among processes; report the outcomes as they come."""
    command = [sys.executable, "-m", "tests.faults", f"--only={asked.only}", f"--log={asked.log}"]
    if asked.at_once:
        command.append(f"--at-once={asked.at_once}")

    async def play(number: int) -> None:
        share = await asyncio.create_subprocess_exec(
            *command, f"--share={number}/{asked.jobs}", stdout=subprocess.PIPE, limit=1 << 20
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
        for number in range(1, asked.jobs + 1):
            group.create_task(play(number))


def _play_share(cells: Sequence[Cell], asked: argparse.Namespace) -> None:
    know_credentials(os.environ.__setitem__)
    logs.configure(asked.log)
    logging.getLogger().setLevel(asked.log)
    first, _, step = asked.share.partition("/")
    at_once = asked.at_once or max(2, round(_CALLS_PER_CORE / pace.unit()))
    with valkey() as url, tempfile.TemporaryDirectory() as folder:
        uvloop.run(
            matrix.run(
                cells[int(first) - 1 :: int(step)],
                int(url.rpartition(":")[2]),
                Path(folder),
                at_once=at_once,
                on_outcome=lambda each: print(msgspec.json.encode(each).decode(), flush=True),  # noqa: T201
            )
        )


if __name__ == "__main__":
    sys.exit(main())
