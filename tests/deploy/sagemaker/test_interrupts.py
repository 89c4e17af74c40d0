"""A command that is interrupted at any of its requests, and the command that follows it."""

import pytest

from tests.deploy.sagemaker.conftest import Operator
from tests.deploy.sagemaker.fake_aws import FakeAws

pytestmark = pytest.mark.long

UPDATE_WRITES = 8  # requests of an update that change something, at most
each_moment = pytest.mark.parametrize("moment", range(UPDATE_WRITES))
before_or_after = pytest.mark.parametrize("carries_out", [False, True], ids=["before", "after"])


class Interrupted(FakeAws):
    """Interrupts the command before or after the nth request that changes something."""

    left = -1
    carries_out = False

    def _carry_out(self, model: object, params: object) -> object:
        if model.name.startswith(("Describe", "List")):  # type: ignore[attr-defined]
            return super()._carry_out(model, params)
        self.left -= 1
        if self.left == -1 and not self.carries_out:
            raise KeyboardInterrupt
        reply = super()._carry_out(model, params)
        if self.left == -1:
            raise KeyboardInterrupt
        return reply


@pytest.fixture
def fake() -> Interrupted:
    return Interrupted()


def update_to(operator: Operator, version: int) -> int:
    operator.edit(r"callscribe-model:[0-9.]+", f"callscribe-model:{version}")
    return operator("update")


def live_version(operator: Operator) -> str:
    """Return the version of the image that is live, or that a running update deploys."""
    aws = operator.aws
    live = aws.endpoints["voxtral"]
    (variant,) = aws.configs[live.pending or live.config]["ProductionVariants"]
    image = str(aws.models[variant["ModelName"]]["PrimaryContainer"]["Image"])
    return image.rpartition(":")[2]


def interrupted(operator: Operator, *arguments: str, moment: int, carries_out: bool) -> None:
    aws = operator.aws
    assert isinstance(aws, Interrupted)
    aws.left, aws.carries_out = moment, carries_out
    assert operator(*arguments) == 1
    assert operator.err.startswith("deploy.sagemaker: interrupted: "), operator.err
    aws.left = -1


@pytest.fixture
def third(operator: Operator) -> Operator:
    """The first version was replaced by the second, and the file has the third."""
    operator.edit(r"callscribe-model:[0-9.]+", "callscribe-model:1")
    assert operator("create") == 0
    assert update_to(operator, 2) == 0
    operator.edit(r"callscribe-model:[0-9.]+", "callscribe-model:3")
    return operator


def test_an_update_has_as_many_requests_as_are_interrupted(third: Operator) -> None:
    assert third("update") == 0
    writes = [each for each in third.aws.calls if not each.startswith(("Describe", "List"))]
    assert len(writes) == UPDATE_WRITES + 2  # the last two delete what is unused


@each_moment
@before_or_after
def test_rollback_restores_what_was_live_before(
    third: Operator, moment: int, carries_out: bool
) -> None:
    """Symptom: until the update had ended, rollback had lost what it restores, and autoscaling."""
    interrupted(third, "update", moment=moment, carries_out=carries_out)
    if third.aws.endpoints["voxtral"].pending:
        expected = "21"  # the running update is stopped first
    else:
        expected = {"2": "12", "3": "23"}[live_version(third)]
    for version in expected:
        assert third("rollback") == 0, third.err
        assert live_version(third) == version
        assert third.aws.targets
        assert third.aws.policies


@each_moment
@before_or_after
def test_the_same_update_does_the_rest(third: Operator, moment: int, carries_out: bool) -> None:
    interrupted(third, "update", moment=moment, carries_out=carries_out)
    assert third("update") == 0
    assert (live_version(third), len(third.aws.policies)) == ("3", 1)
    assert third("rollback") == 0
    assert live_version(third) == "2"


@each_moment
@before_or_after
def test_rollback_after_another_update(third: Operator, moment: int, carries_out: bool) -> None:
    interrupted(third, "update", moment=moment, carries_out=carries_out)
    before = "3" if live_version(third) == "3" else "2"
    while third.aws.endpoints["voxtral"].status != "InService":
        assert third("status") == 0
    assert update_to(third, 4) == 0
    assert third("rollback") == 0
    assert live_version(third) == before


@pytest.mark.parametrize("moment", range(6))
@before_or_after
def test_an_interrupted_rollback_can_be_repeated(
    third: Operator, moment: int, carries_out: bool
) -> None:
    interrupted(third, "rollback", moment=moment, carries_out=carries_out)
    while third.aws.endpoints["voxtral"].status != "InService":
        assert third("status") == 0
    expected = {"1": "2", "2": "1"}[live_version(third)]
    assert third("rollback") == 0, third.err
    assert live_version(third) == expected


@before_or_after
def test_scale_in_after_an_interrupted_update(third: Operator, carries_out: bool) -> None:
    """The smaller fleet has another configuration of the same content."""
    third.edit(r"callscribe-model:3", "callscribe-model:2")
    assert third("scale", "3") == 0
    third.edit(r"callscribe-model:2", "callscribe-model:3")
    interrupted(third, "update", moment=4, carries_out=carries_out)
    third.edit(r"callscribe-model:3", "callscribe-model:2")
    assert third("scale", "2") == 0, third.err
    assert third("rollback") == 0
    assert live_version(third) == "1"
