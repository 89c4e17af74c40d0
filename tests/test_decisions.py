"""docs/decisions: one form, consecutive numbers, and an index that matches the files."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs/decisions"
HEAD = re.compile(
    r"# (\d+)\. (.+)\n\n- Status: ((?:accepted|superseded).*)\n- Date: (\d{4}-\d\d-\d\d)\n\n"
)


def test_index_lists_every_decision() -> None:
    rows = []
    for file in sorted(FOLDER.glob("[0-9]*.md")):
        head = HEAD.match(file.read_text())
        assert head, f"{file.name} does not begin with its title, status and date"
        number, title, status, date = head.groups()
        assert file.name.startswith(f"{int(number):04}-")
        rows.append(f"| {number} | [{title}]({file.name}) | {date} | {status} |")
    index = FOLDER.joinpath("README.md").read_text()
    assert [line for line in index.splitlines() if re.match(r"\| \d", line)] == rows


def test_numbers_are_consecutive() -> None:
    numbers = [int(file.name[:4]) for file in sorted(FOLDER.glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
