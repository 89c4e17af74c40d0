import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from deploy.sagemaker.__main__ import run
from tests.deploy.sagemaker.fake_aws import FakeAws

EXAMPLE = Path(__file__).resolve().parents[3] / "deploy/sagemaker/example.toml"


@dataclass
class FakeClock:
    """Time that passes by sleeping."""

    seconds: float = 0.0
    at: dict[float, Callable[[], None]] = field(default_factory=dict)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for due in [each for each in self.at if each <= self.seconds]:
            self.at.pop(due)()


@dataclass
class Operator:
    """Runs commands against the fake."""

    aws: FakeAws
    file: Path
    capture: pytest.CaptureFixture[str]
    clock: FakeClock = field(default_factory=FakeClock)
    out: str = ""
    err: str = ""

    def edit(self, pattern: str, text: str) -> None:
        before = self.file.read_text()
        after = re.sub(pattern, text, before, count=1, flags=re.MULTILINE)
        assert after != before
        self.file.write_text(after)

    def __call__(self, *arguments: str) -> int:
        reads_only = arguments[0] in ("plan", "status")
        options = () if reads_only else ("--yes",)
        self.aws.calls.clear()
        code = run(["--file", str(self.file), *arguments, *options], self.clock)
        self.out, self.err = self.capture.readouterr()
        return code


@pytest.fixture
def fake() -> FakeAws:
    """The fake of AWS; a module may override it by one that fails."""
    return FakeAws()


@pytest.fixture
def aws(fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    monkeypatch.setattr(boto3, "client", fake.client)
    return fake


@pytest.fixture
def operator(aws: FakeAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    file = tmp_path / "sagemaker.toml"
    file.write_text(EXAMPLE.read_text())
    return Operator(aws, file, capsys)
