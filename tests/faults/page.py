"""docs/fault-matrix.md: every cell of the fault matrix and its required outcome.

python -m tests.faults.page    writes the page; `./run fix` calls it
"""

from pathlib import Path
from typing import Final

from deploy.local.proxy import Delay, Throttle
from tests.faults.matrix import CELLS, FAULTS, HEALS_AFTER_S, LOST_REPLIES, Cell, Moment
from tests.faults.stack import SERVERS, Link
from tests.simulation import test_failover, test_faults

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/fault-matrix.md"

_INTRODUCTION: Final = f"""# The fault matrix

This page is for engineers who want to know which failures are tested. It lists every fault that
`./run faults` injects, on every link and at every moment of a call, with the outcome that the
command requires. [reliability.md](reliability.md#how-it-is-tested) has the result of the last full
run.

`./run faults` runs all cells. To run those whose name contains a text:

```sh
./run faults --only "reset bridge-engine"
```

The command prints the observed outcome of each cell as a table of the same form. It exits with
code 1 if one differs from the required outcome. Each fault ends after {HEALS_AFTER_S:.0f} s, except
in the last rows, where it lasts until the call is over.

This page is generated from `tests/faults/matrix.py`: change it there, then run `./run fix`.
"""

_DIALECTS: Final = f"""## Dialects

`./run faults --dialect NAME` plays all cells with another dialect than `voxtral`, against the CPU
engine's server of that dialect. The required outcomes are the same. Where there is no bridge, the
links follow one another directly. The names are {", ".join(SERVERS)}.

The test suite plays each fault in simulated time, too:"""
_FAILOVER: Final = f"""### Failover between dialects

A route has two endpoints of different dialects, and a session of the first one fails, in simulated
time:

- {", ".join(test_failover.FAULTS)}:
  {", ".join(test_failover.MOMENTS)}
- {", ".join(test_failover.UNOPENED)}: at the opening of the first session, or of the second

There are {len(test_failover.CASES)} cases. Each of the {len(test_failover.PAIRS)} ordered pairs of
dialects plays {test_failover.PER_PAIR} of them, so that each case is played. The other endpoint
must complete the call, without a gap. (If a session is slow or stalled, up to 1.4 s may be in a
gap, because the replay buffer of these calls has only 4 s. A throttled one may end the call before
its pending words.)"""
_WHOLE: Final = "whole"
_MAY_FAIL: Final = "whole, may fail"
_MAY_NOT_START: Final = "whole or no stream"
_MAY_HAVE_GAPS: Final = "gap allowed"
_OUTCOMES: Final = {
    _WHOLE: "every 80 ms of audio is transcribed exactly once, without a gap, and the stream "
    "ends as `completed`, `carrier-stopped`",
    _MAY_FAIL: "every 80 ms that the gateway received is transcribed exactly once, without a gap; "
    "the stream may end as `failed`, because its carrier may be cut off",
    _MAY_NOT_START: "likewise; or there is no stream, because the carrier may not reach the "
    "gateway",
    _MAY_HAVE_GAPS: "every 80 ms is transcribed exactly once or is in a declared gap; the stream "
    "may end as `failed`, because the model cannot be reached",
}
_MOMENTS: Final = {
    Moment.BEFORE: "before the carrier connects",
    Moment.SPEECH: "while the caller speaks",
    Moment.PAUSE: "while the caller pauses between two utterances",
    Moment.COMMIT: "after the hang-up, while the gateway waits for the pending words",
    Moment.ROLLOVER: "while one session replaces another",
}


def render() -> str:
    """Return the page as Markdown."""
    return (
        "\n\n".join(
            [
                _INTRODUCTION.rstrip(),
                "## Faults",
                _table(("fault", "what happens to the link"), _faults()),
                "## Moments",
                _table(("begins", "when"), [(str(each), _MOMENTS[each]) for each in Moment]),
                "## Required outcomes",
                "In every cell, `stream.ended` is the last event of each stream that started.",
                _table(("outcome", "meaning"), list(_OUTCOMES.items())),
                f"## The {len(CELLS)} cells",
                _table(("fault", "begins", *Link), _rows()),
                _DIALECTS,
                _table(("fault of a link to the model", *test_faults.DIALECTS), _dialect_rows()),
                _FAILOVER,
            ]
        ).rstrip()
        + "\n"
    )


def outcome(cell: Cell) -> str:
    """Return the name of a cell's required outcome."""
    if cell.may_not_start:
        return _MAY_NOT_START
    if cell.may_have_gaps:
        return _MAY_HAVE_GAPS
    return _WHOLE if cell.ends_well else _MAY_FAIL


def _faults() -> list[tuple[str, ...]]:
    delay, throttle = FAULTS["delay"], FAULTS["throttle"]
    assert isinstance(delay, Delay)
    assert isinstance(throttle, Throttle)
    meanings = {
        "delay": f"bytes arrive {delay.seconds * 1000:.0f} ms late",
        "throttle": f"{throttle.bytes_per_s:,} bytes a second pass, about a fifth of what a track "
        "needs on the links to the model",
        "freeze": "no bytes pass; all arrive when the fault ends",
        "black-hole": "no more bytes pass on connections that were open or are opened during "
        "the fault; they stay open",
        "reset": "connections are reset on both sides; new ones are accepted and reset",
        "truncate": "half of the next bytes pass, then both sides receive an orderly end",
        "refuse": "open connections are not affected; new ones are refused",
        LOST_REPLIES: "a black hole in one direction: requests arrive, replies do not",
    }
    return [(name, meanings[name]) for name in FAULTS]


def _rows() -> list[tuple[str, ...]]:
    begins = dict.fromkeys((cell.fault, cell.moment, cell.stays) for cell in CELLS)
    return [
        (
            fault,
            f"{moment}, and stays" if stays else str(moment),
            *(outcome(Cell(fault, link, moment, stays)) for link in Link),
        )
        for fault, moment, stays in begins
    ]


def _dialect_rows() -> list[tuple[str, ...]]:
    """Return a row per fault: on which links it is simulated with each dialect."""
    links = {
        dialect: ", ".join(link for each, link in test_faults.LINKS if each == dialect)
        for dialect in test_faults.DIALECTS
    }
    return [(fault, *links.values()) for fault in test_faults.UPSTREAM]


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (heading, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(heading)}", *lines[1:]])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
