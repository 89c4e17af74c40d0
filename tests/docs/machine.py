"""A newcomer's machine: a copy of the repository, a shell, and what the pages' names stand for.

Nothing here reaches beyond loopback. What a page says that a command needs is not there: no Docker
engine, no cluster, no AWS account.
"""

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import soundfile

from tests.docs.blocks import ROOT

TIMEOUT_S: Final = 60.0
_STATE: Final = ".state"  # the shell's exported variables, for the next command
_RECORDINGS: Final = {"CALL": 2, "CUSTOMER": 1, "AGENT": 1, "FILE": 1}  # and their channels
_STAND_INS: Final = ("aws", "docker", "helm")
_NO_CLUSTER: Final = """apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none}}]
clusters: [{name: none, cluster: {server: "http://127.0.0.1:9"}}]
"""
_PLACEHOLDER: Final = re.compile(r"<(\w+)>")
_INHERITED: Final = {"LANG", "TMPDIR", "LD_LIBRARY_PATH"}

type Probe = Callable[[str], Awaitable[bool]]


class Outcome(NamedTuple):
    """What a command did."""

    code: int | None  # None: it had to be killed
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Machine:
    """The newcomer's folder.

    Attributes:
        here: names in the pages, and what stands for each on this machine.
        account: variables that give access to the model, as AWS credentials would.
        variables: ports and folders that are free on this machine.
    """

    folder: Path
    here: Mapping[str, str]
    account: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, commands: Path, **more: Mapping[str, str]) -> Self:
        """Prepare a folder: the repository's files, recordings, and the programs.

        Args:
            folder: empty.
            commands: the socket of tests/docs/preloaded.py, for `./run`.
            more: the other attributes.
        """
        for path in ROOT.iterdir():
            if path.is_dir() and not path.name.startswith("."):
                (folder / path.name).symlink_to(path)
        for name in ("Dockerfile", "docker-compose.yml"):  # Docker opens no links
            shutil.copyfile(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / ".env").touch()
        # As `run` does after an installation, which tests/test_run.py tests.
        _write_program(folder / "run", f"-I -S {ROOT}/tests/docs/preloaded.py {commands}")
        (folder / "kubeconfig").write_text(_NO_CLUSTER, encoding="utf-8")
        (folder / "programs").mkdir()
        for name in _STAND_INS:
            _write_program(folder / "programs" / name, f"-P -m tests.docs.programs {name}")
        for name, channels in _RECORDINGS.items():
            noise = np.random.default_rng(1).normal(0, 0.05, (8000, channels))
            soundfile.write(folder / f"{name}.wav", noise, 8000, subtype="PCM_16")
        return cls(folder, **more)

    def localize(self, text: str) -> str:
        """Replace the names of a page by those of this machine."""
        for name, own in self.here.items():
            text = text.replace(name, own)
        return _PLACEHOLDER.sub(r"\1", text)

    @property
    def settings(self) -> str:
        """The content of `.env`."""
        return (self.folder / ".env").read_text(encoding="utf-8")

    def configure(self, settings: str) -> None:
        """Add settings of a page to `.env`, with a secret for each `…`."""
        number = itertools.count(len(self.settings))
        own = re.sub("…", lambda _: f"{next(number):048x}", self.localize(settings))
        with (self.folder / ".env").open("a", encoding="utf-8") as file:
            file.write(own)

    async def run(
        self, command: str, *, lacks: bool = False, until: Probe | None = None
    ) -> Outcome:
        """Run a command in the shell.

        Args:
            command: localized.
            lacks: whether the account is missing; what the command exports is then dropped.
            until: if set, the command is stopped when this returns true for what it has printed.
        """
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", self._script(command, lacks, until)),
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        output, errors = bytearray(), bytearray()

        async def read(stream: asyncio.StreamReader | None, seen: bytearray) -> None:
            while stream and (chunk := await stream.read(4096)):
                seen.extend(chunk)

        async def stop(works: Probe) -> None:
            while not await works((output + errors).decode(errors="replace")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            process.terminate()

        stopping = asyncio.create_task(stop(until)) if until else None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.gather(read(process.stdout, output), read(process.stderr, errors))
                code = await process.wait()
        except TimeoutError:
            code = None
        finally:
            if stopping:
                stopping.cancel()
            with contextlib.suppress(ProcessLookupError):  # usually nothing of it is left
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return Outcome(code, output.decode(errors="replace"), errors.decode(errors="replace"))

    def _script(self, command: str, lacks: bool, until: Probe | None) -> str:
        before = f"[ ! -e {_STATE} ] || . ./{_STATE}\n"
        if lacks:
            return f"{before}unset {' '.join(self.account)}\nset -o pipefail\n{command}"
        if until is not None:
            return f"{before}exec {command}"
        return f"{before}{command}\ncode=$?; export -p >{_STATE}; exit $code"

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED & os.environ.keys()}
        nowhere = "http://127.0.0.1:9"
        path = os.environ["PATH"].split(":")  # without the programs of an activated environment
        path = [each for each in path if each != f"{sys.prefix}/bin"]
        return {
            **inherited,
            "PATH": ":".join([f"{self.folder}/programs", *path]),
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "COLUMNS": "200",
            "AWS_EC2_METADATA_DISABLED": "true",
            "DOCKER_HOST": "tcp://127.0.0.1:9",
            "KUBECONFIG": "kubeconfig",
            "HTTPS_PROXY": nowhere,
            "UV_HTTP_RETRIES": "0",
            "NO_PROXY": "127.0.0.1,localhost",
            **self.variables,
            **self.account,
        }


def _write_program(path: Path, arguments: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
