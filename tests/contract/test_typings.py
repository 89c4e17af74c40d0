"""The typings of the JavaScript client compile, and a program of a user compiles with them."""

import shutil
import subprocess
from pathlib import Path

from cli.contract import TYPINGS
from tests.npm import installed

_SAMPLE = Path(__file__).with_name("sample.ts")
_OPTIONS = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2022")


def test_typings_compile_with_a_program(tmp_path: Path) -> None:
    compiler = installed("typescript", "7.0.2") / "bin/tsc"
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for path in (TYPINGS, TYPINGS.with_name("callscribe.d.ts"), _SAMPLE):
        shutil.copy(path, tmp_path)
    done = subprocess.run(  # noqa: S603 (files of the project)
        ("node", str(compiler), *_OPTIONS, _SAMPLE.name),  # noqa: S607 (npm needs it, too)
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
