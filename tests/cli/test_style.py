"""The style check: what it reports, on which line, and what it ignores."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli import style

ROOT = Path(__file__).resolve().parents[2]
PHRASES = style.read_phrases(
    r"""# a comment

\blearn(s|ed)?\b => receive, detect
\bso many\b => name the quantity
"""
)


def lines(text: str, path: str = "shop.py") -> list[tuple[int, str]]:
    """Return the line and message of each finding."""
    return [(each.line, each.message) for each in style.check(path, text, PHRASES)]


def test_phrases_are_read_without_comments_and_empty_lines() -> None:
    assert [phrase.instead for phrase in PHRASES] == ["receive, detect", "name the quantity"]


def test_banned_phrase_in_a_comment_is_reported() -> None:
    assert lines("x = 1\ny = 2  # it learns\n") == [(2, '"learns": receive, detect')]


def test_banned_phrase_in_a_docstring_is_reported_on_its_line() -> None:
    text = '"""A shop.\n\nIt sells\nso many things.\n"""\n'
    assert lines(text) == [(4, '"so many": name the quantity')]


def test_banned_phrase_in_a_method_docstring_is_reported_on_its_line() -> None:
    text = 'class Shop:\n    def sell(self):\n        """Sell.\n\n        Learn.\n        """\n'
    assert lines(text) == [(5, '"Learn": receive, detect')]


def test_banned_phrase_in_a_page_is_reported_on_its_line() -> None:
    assert lines("# Shop\n\nWe learn.\n", "shop.md") == [(3, '"learn": receive, detect')]


@pytest.mark.parametrize(
    "text",
    [
        "# `learn` is a method\n",
        '# the log says "we learned"\n',
        'text = "we learned"\n',
        'text = f"we learned {1}"\n',
        "learned = 1\n",
        '"""Call `shop.learn(\n1)` to start."""\n',
    ],
)
def test_code_quotations_and_strings_are_ignored(text: str) -> None:
    assert lines(text) == []


def test_fenced_block_of_a_page_is_ignored_but_counts_lines() -> None:
    page = "Start:\n\n```\nlearn so many\n```\n\nWe learn `so many` things.\n"
    assert lines(page, "shop.md") == [(7, '"learn": receive, detect')]


def test_phrase_across_a_code_span_of_two_lines_keeps_line_numbers() -> None:
    assert lines("A `span\nof two` lines.\nWe learn.\n", "shop.md") == [
        (3, '"learn": receive, detect')
    ]


@pytest.mark.parametrize("verb", sorted(style._FIRST_VERBS))  # noqa: SLF001
def test_function_docstring_with_an_unclear_verb_is_reported(verb: str) -> None:
    text = f'x = 1\n\n\ndef price():\n    """{verb} the price."""\n'
    assert lines(text)[0] == (4, f"docstring of price opens with {verb}")


def test_async_function_and_method_docstrings_are_checked() -> None:
    text = 'class Shop:\n    async def open(self):\n        """Take an hour."""\n'
    assert lines(text) == [(2, "docstring of open opens with Take")]


@pytest.mark.parametrize("decorator", ["property", "cached_property"])
def test_property_docstring_that_opens_with_return_is_reported(decorator: str) -> None:
    text = f'class Shop:\n    @{decorator}\n    def price(self):\n        """Return the price."""\n'
    assert lines(text) == [(3, "docstring of price opens with Return")]


def test_function_docstring_may_open_with_return() -> None:
    assert lines('def price():\n    """Return the price."""\n') == []


def test_findings_are_in_the_order_of_lines() -> None:
    text = '# learn\ndef price():\n    """Give so many."""\n\n\n# learned\n'
    assert [line for line, _ in lines(text)] == [1, 2, 3, 6]


def test_finding_names_file_and_line() -> None:
    assert str(style.Finding("shop.py", 3, "why")) == "shop.py:3: why"


@pytest.mark.parametrize(("text", "code"), [("# fine\n", 0), ("# for want of\n", 1)])
def test_command_exits_with_1_if_a_rule_is_broken(tmp_path: Path, text: str, code: int) -> None:
    file = tmp_path / "shop.py"
    file.write_text(text)
    done = subprocess.run(  # noqa: S603 (ours)
        [sys.executable, "-m", "cli.style", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout.count(f"{file}:1: ") == code
