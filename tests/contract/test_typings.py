"""The typings of the JavaScript client compile, and a program of a user compiles with them."""

import shutil
import subprocess
from pathlib import Path

from cli.contract import TYPINGS
from tests.contract.node_packages import NODE, require

_SAMPLE = Path(__file__).parent / "node/sample.ts"
_OPTIONS = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2022")


def test_typings_compile_with_a_program(tmp_path: Path) -> None:
    compiler = require("typescript") / "bin/tsc"
    (tmp_path / "node_modules").symlink_to(compiler.parents[2])
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for path in (TYPINGS, TYPINGS.with_name("callscribe.d.ts"), _SAMPLE):
        shutil.copy(path, tmp_path)
    command = (str(NODE), str(compiler), *_OPTIONS, "--types", "node", _SAMPLE.name)
    done = subprocess.run(  # noqa: S603 (files of the project)
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
