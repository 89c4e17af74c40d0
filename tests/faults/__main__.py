"""`python -m tests.faults`: run the matrix, print it as Markdown, and say whether it held."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import msgspec
import uvloop

from gateway import logs
from tests.faults import matrix
from tests.faults.stack import know_credentials
from tests.redis_servers import valkey


def main() -> int:
    """Run what the command line names; exit code 1 if a cell is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="the cells whose name contains this")
    parser.add_argument("--share", default="1/1", help="i/n: every nth of them, from the ith on")
    parser.add_argument("--at-once", type=int, default=12, help="calls at once")
    parser.add_argument("--json", action="store_true", help="print one outcome a line")
    parser.add_argument("--log", default="ERROR", help="level of the gateways' logs")
    asked = parser.parse_args()
    know_credentials(os.environ.__setitem__)
    logs.configure(asked.log)
    first, _, step = asked.share.partition("/")
    cells = [cell for cell in matrix.CELLS if asked.only in str(cell)][int(first) - 1 :: int(step)]
    with valkey() as url, tempfile.TemporaryDirectory() as folder:
        port = int(url.rpartition(":")[2])
        outcomes = uvloop.run(matrix.run(cells, port, Path(folder), at_once=asked.at_once))
    lines = [msgspec.json.encode(each).decode() for each in outcomes] if asked.json else []
    print("\n".join(lines or [matrix.markdown(outcomes)]))  # noqa: T201 - what it is for
    return 0 if all(outcome.as_expected for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
