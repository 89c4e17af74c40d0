"""cfn-lint, in a process of its own: it warns about its own dependencies when imported."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

_MAIN: Final = "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())"


def findings(template: Path) -> list[tuple[str, str]]:
    """Return the rule and the message of each finding, informational ones included."""
    command = (sys.executable, "-c", _MAIN, "-c", "I", "-f", "json", "--", str(template))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)  # noqa: S603
    assert done.stdout, done.stderr
    return [(each["Rule"]["Id"], each["Message"]) for each in json.loads(done.stdout)]
