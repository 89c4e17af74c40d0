"""Any sequence of commands, with any of their requests refused, ends in a state that is known."""

import contextlib
import io
import tempfile
from pathlib import Path

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.sagemaker.__main__ import run
from tests.deploy.sagemaker.conftest import EXAMPLE, FakeClock
from tests.deploy.sagemaker.fake_aws import FakeAws

COMMANDS = (
    ("create",),
    ("update",),
    ("scale", "2"),
    ("scale", "3"),
    ("scale", "4"),
    ("rollback",),
    ("hibernate",),
    ("wake",),
    ("delete",),
)
FAULTS = {
    "AccessDeniedException": "not authorized",
    "ResourceLimitExceeded": "The limit is 0.",
    "ThrottlingException": "Rate exceeded",
}
REMOVING = ("hibernate", "delete")  # not undone, but completed by another run

events = st.tuples(
    st.sampled_from(COMMANDS),
    st.integers(1, 3),  # the image's version
    st.none() | st.tuples(st.integers(0, 12), st.sampled_from(sorted(FAULTS))),
)


class Refusing(FakeAws):
    """Refuses the nth request that changes something."""

    countdown = -1
    code = ""

    def _carry_out(self, model: object, params: object) -> object:
        name = model.name  # type: ignore[attr-defined]
        if not name.startswith(("Describe", "List")):
            self.countdown -= 1
            if self.countdown == -1:
                self.refuse[name, self.calls.count(name)] = (self.code, FAULTS[self.code])
        return super()._carry_out(model, params)


def command(
    aws: Refusing, folder: str, arguments: tuple[str, ...], version: int
) -> tuple[int, str]:
    file = Path(folder, "sagemaker.toml")
    file.write_text(EXAMPLE.read_text().replace(":1.0.0", f":1.0.{version}"))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["--file", str(file), *arguments, "--yes"], FakeClock())
    assert err.getvalue().count("\n") == code
    return code, out.getvalue()


@settings(max_examples=40, deadline=None)
@given(st.lists(events, min_size=2, max_size=7))
def test_failed_commands_change_nothing_and_delete_leaves_nothing(
    history: list[tuple[tuple[str, ...], int, tuple[int, str] | None]],
) -> None:
    aws = Refusing()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(boto3, "client", aws.client)
        for arguments, version, fault in history:
            aws.countdown, aws.code = fault or (-1, "")
            before = aws.snapshot
            code, out = command(aws, folder, arguments, version)
            aws.refuse.clear()
            aws.countdown = -1
            if code and arguments[0] not in REMOVING and "for the rest" not in out:
                assert aws.snapshot == before, (arguments, out)
            assert all(each.status == "InService" for each in aws.endpoints.values())
        assert command(aws, folder, ("delete",), 1)[0] == 0
        assert aws.is_empty
