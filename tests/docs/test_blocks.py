"""The code blocks of the pages are marked; how they are read."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import MORE_NEEDS, NEEDS, PAGES, Block, blocks, documented, read

PAGE = """# Page

Start it. Needs: Docker and
an AWS account.

```sh
docker run a \\
  b  # comment
for each in 1 2; do
  echo "$each"
done
```

1. Look. Needs: a GPU, or more.

   It prints:

   ```console
   $ look --all
   everything
   ```
   ```json
   {"a": 1}
   ```

Needs: Docker or a registry.
```crontab
0 6 * * 1-5   cd / && wake --yes
```
"""


def test_blocks_of_a_page() -> None:
    run, look, printed, wake = blocks(PAGE)
    assert run.needs == ("Docker", "an AWS account")
    docker, loop = run.commands()
    assert docker == "docker run a \\\n  b"
    assert loop == 'for each in 1 2; do\n  echo "$each"\ndone'
    assert look == Block("console", "$ look --all\neverything\n")
    assert [*look.commands()] == ["look --all"]
    assert printed == Block("json", '{"a": 1}\n')
    assert wake.needs == ("Docker", "a registry")
    assert [*wake.commands()] == ["cd / && wake --yes"]


def test_unfinished_command_is_an_error() -> None:
    with pytest.raises(AssertionError, match="not a shell command: for each in"):
        [*Block("sh", "for each in 1 2; do\n").commands()]


def test_command_that_a_page_no_longer_has_is_an_error() -> None:
    assert documented("docs/local.md", "./run up") == ["up"]
    with pytest.raises(AssertionError, match=r"docs/local.md has no command \./run down"):
        documented("docs/local.md", "./run down")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_have_a_language_and_known_needs(page: Path) -> None:
    """Symptom to prevent: a command in a block without a language is never run."""
    listed = read(page)
    fences = re.findall(r"^ *```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(listed)
    assert [each.text for each in listed if not each.language] == []
    assert {need for each in listed for need in each.needs} <= NEEDS.keys() | MORE_NEEDS
