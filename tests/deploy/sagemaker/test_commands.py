"""Every command against a stateful fake of AWS, with a failure at each of its calls."""

import pytest

from deploy.sagemaker.__main__ import run
from tests.deploy.sagemaker.conftest import Operator

# What AWS answers, and how the line begins that the operator sees.
ERRORS = {
    "quota": ("ResourceLimitExceeded", "The account-level service limit is 0 Instances.", "quota"),
    "denied": (
        "AccessDeniedException",
        "User: arn:aws:iam::1:user/x is not authorized to perform: sagemaker:X on resource: y",
        "access denied",
    ),
    "throttled": ("ThrottlingException", "Rate exceeded", "throttled"),
    "refused": ("ValidationException", "Something\nis invalid.", "refused by AWS"),
    "internal": ("InternalFailure", "", "AWS failed"),
}
CHANGED_IMAGE = (r"callscribe-model:1.0.0", "callscribe-model:1.1.0")
WRITES = ("Create", "Update", "Delete", "Put", "Register", "Deregister", "Add", "Set")

each_error = pytest.mark.parametrize("error", ERRORS)


def writes(operator: Operator) -> list[tuple[str, int]]:
    """Return the calls of the last command that changed something: name and occurrence."""
    seen: dict[str, int] = {}
    found = []
    for name in operator.aws.calls:
        seen[name] = seen.get(name, 0) + 1
        if name.startswith(WRITES):
            found.append((name, seen[name]))
    return found


def one_line(operator: Operator) -> str:
    assert operator.err.count("\n") == 1, operator.err
    assert operator.err.endswith("\n")
    return operator.err.removeprefix("deploy.sagemaker: ")


def test_create_makes_everything_and_is_idempotent(operator: Operator) -> None:
    assert operator("create") == 0
    assert len(operator.aws.configs) == len(operator.aws.models) == 1
    assert operator.aws.endpoints["voxtral"].status == "InService"
    assert [*operator.aws.targets] == ["endpoint/voxtral/variant/main"]
    assert len(operator.aws.alarms) == 4
    (policy,) = operator.aws.policies.values()
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == pytest.approx(3.5)  # 70 % of 5 sessions
    assert tracking["DisableScaleIn"] is True
    assert "InService, 2 of 2 instances" in operator.out
    before = operator.aws.snapshot
    assert operator("create") == 0
    assert "nothing to do" in operator.out
    assert writes(operator) == []
    assert operator.aws.snapshot == before


def test_plan_changes_nothing_and_shows_costs(operator: Operator) -> None:
    assert operator("plan") == 0
    assert operator.aws.is_empty
    assert "create endpoint voxtral" in operator.out
    assert "callscribe-model:1.0.0" in operator.out
    assert "2 x ml.g6.4xlarge or ml.g6e.4xlarge, 5 sessions each" in operator.out
    assert "not known; set prices of ml.g6.4xlarge, ml.g6e.4xlarge" in operator.out
    operator.edit(r"^\[tags\]", '[prices]\n"ml.g6.4xlarge" = 1.0\n"ml.g6e.4xlarge" = 2.5\n[tags]')
    assert operator("plan") == 0
    assert "cost per hour now: 0.00 (no instances)" in operator.out
    assert "with the file: 2.00 to 5.00 (2 x ml.g6.4xlarge or ml.g6e.4xlarge)" in operator.out
    assert "autoscaled to the maximum: 4.00 to 10.00" in operator.out
    assert operator("create") == 0
    assert "cost per hour now: 2.00 (2 x ml.g6.4xlarge)" in operator.out


@pytest.mark.parametrize("strategy", ["blue-green", "rolling"])
def test_every_table_of_the_file_makes_valid_requests(operator: Operator, strategy: str) -> None:
    operator.edit(r"^sessions = 5", 'sessions = 5\nkms_key = "alias/volumes"')
    operator.edit(
        r"^\[tags\]",
        f"""[vpc]
subnets = ["subnet-1", "subnet-2"]
security_groups = ["sg-1"]
[update]
strategy = "{strategy}"
drain_s = 3600
bake_s = 3600
[alarms]
topic = "arn:aws:sns:eu-central-1:123456789012:on-call"
[tags]""",
    )
    assert operator("create") == 0, operator.err
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0, operator.err
    (actions,) = {tuple(each["AlarmActions"]) for each in operator.aws.alarms.values()} - {()}
    assert actions == ("arn:aws:sns:eu-central-1:123456789012:on-call",)
    assert operator("status") == 0
    assert "autoscaling: 2 to 4" in operator.out


@each_error
def test_create_leaves_nothing_after_a_failure_of_any_call(operator: Operator, error: str) -> None:
    assert operator("create") == 0
    every = writes(operator)
    assert len(every) == 9
    assert operator("delete") == 0
    code, message, begins = ERRORS[error]
    for call in every:
        operator.aws.refuse = {call: (code, message)}
        assert operator("create") == 1
        assert one_line(operator).startswith(f"{begins}: "), (call, operator.err)
        assert operator.aws.is_empty, (call, operator.out)


def test_create_leaves_nothing_if_the_reply_to_any_call_is_lost(operator: Operator) -> None:
    assert operator("create") == 0
    names = {name for name, _ in writes(operator)}
    assert operator("delete") == 0
    for name in sorted(names):
        operator.aws.lose_reply = {name}
        if name == "CreateEndpoint":  # the endpoint shows that the request was carried out
            assert operator("create") == 0
            assert operator("delete") == 0
        else:
            assert operator("create") == 1
            assert one_line(operator).startswith("unreachable: ")
        assert operator.aws.is_empty, (name, operator.out)


def test_update_scale_and_delete_continue_if_the_reply_is_lost(operator: Operator) -> None:
    assert operator("create") == 0
    operator.edit(*CHANGED_IMAGE)
    operator.aws.lose_reply = {"UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"}
    assert operator("update") == 0
    assert operator("scale", "3") == 0
    assert operator.aws.endpoints["voxtral"].count == 3
    operator.aws.lose_reply = {"DeleteEndpoint"}
    assert operator("delete") == 0
    assert operator.aws.is_empty


def test_update_that_never_arrived_is_undone(operator: Operator) -> None:
    assert operator("create") == 0
    before = operator.aws.snapshot
    operator.edit(*CHANGED_IMAGE)
    operator.aws.unreachable = {"UpdateEndpoint"}
    assert operator("update") == 1
    assert one_line(operator).startswith("unreachable: ")
    assert operator.aws.snapshot == before


def test_state_that_cannot_be_read_during_an_update_undoes_nothing(operator: Operator) -> None:
    assert operator("create") == 0
    operator.edit(*CHANGED_IMAGE)

    def deny() -> None:
        operator.aws.unreachable = {"DescribeEndpoint"}

    operator.clock.at[operator.clock.now() + 1] = deny
    assert operator("update") == 1
    assert one_line(operator).startswith("still in progress: ")
    operator.aws.unreachable = set()
    assert operator("update") == 0
    assert operator.aws.policies


def test_create_continues_what_an_interrupted_run_began(operator: Operator) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    operator.clock.at[1.0] = interrupt
    assert operator("create") == 1
    assert one_line(operator).startswith("interrupted")
    assert operator.aws.endpoints["voxtral"].status == "Creating"
    assert operator("create") == 0
    assert "wait for the endpoint" in operator.out
    assert operator.aws.targets


def test_create_by_two_runs_at_once_leaves_the_other_endpoint_alone(operator: Operator) -> None:
    text = 'Cannot create already existing endpoint "arn"'
    operator.aws.refuse = {("CreateEndpoint", 1): ("ValidationException", text)}
    assert operator("create") == 1
    assert one_line(operator).startswith("exists already: ")
    assert operator.aws.configs  # the other run's endpoint uses it
    operator.aws.refuse = {}
    assert operator("create") == 0


@pytest.mark.parametrize(
    ("reason", "begins"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity.", "capacity: "),
        ("The primary container did not pass the ping health check.", "failed: "),
    ],
)
def test_create_deletes_an_endpoint_that_fails_to_start(
    operator: Operator, reason: str, begins: str
) -> None:
    operator.aws.start_fails = reason
    assert operator("create") == 1
    assert one_line(operator).startswith(begins)
    assert reason in operator.err
    assert operator.aws.is_empty


def test_wait_times_out_without_undoing(operator: Operator) -> None:
    operator.aws.refuse = {}
    operator.clock.at[1.0] = lambda: operator.clock.sleep(100_000)
    assert operator("create") == 1
    assert one_line(operator).startswith("still in progress: ")
    assert operator.aws.endpoints


def test_update_drains_and_keeps_the_previous_configuration(operator: Operator) -> None:
    assert operator("create") == 0
    (first,) = operator.aws.configs
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    live = operator.aws.endpoints["voxtral"]
    assert live.config != first
    policy = live.deployment["BlueGreenUpdatePolicy"]
    assert policy["TerminationWaitInSeconds"] == 1800
    assert policy["TrafficRoutingConfiguration"]["Type"] == "CANARY"
    assert len(live.deployment["AutoRollbackConfiguration"]["Alarms"]) == 4
    assert set(operator.aws.configs) == {first, live.config}
    assert operator.aws.targets
    assert operator.aws.policies
    assert operator("update") == 0
    assert "nothing to do" in operator.out
    operator.edit(r"callscribe-model:1.1.0", "callscribe-model:1.2.0")
    assert operator("update") == 0
    assert first not in operator.aws.configs
    assert len(operator.aws.models) == 2


def test_update_continues_what_an_interrupted_run_began(operator: Operator) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert operator("create") == 0
    before = operator.aws.snapshot
    operator.edit(*CHANGED_IMAGE)
    operator.clock.at[operator.clock.now() + 1] = interrupt
    assert operator("update") == 1
    assert operator("update") == 0
    assert "wait for the update" in operator.out
    assert operator.aws.policies
    assert operator("rollback") == 0
    operator.clock.at[operator.clock.now() + 1] = interrupt
    assert operator("update") == 1
    operator.aws.start_fails = "The container did not start."
    assert operator("update") == 1
    assert one_line(operator).startswith("rolled back: ")
    assert operator.aws.endpoints["voxtral"].config == next(iter(before[1]))
    assert operator.aws.targets == before[3]


def test_update_keeps_the_count_that_autoscaling_reached(operator: Operator) -> None:
    assert operator("create") == 0
    operator.aws.endpoints["voxtral"].count = 4
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    assert operator.aws.endpoints["voxtral"].count == 4


@each_error
def test_update_restores_everything_after_a_failure_of_any_call(
    operator: Operator, error: str
) -> None:
    assert operator("create") == 0
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    operator.edit(r"callscribe-model:1.1.0", "callscribe-model:1.2.0")
    operator.edit(r"^\[tags\]", "[alarms]\nminutes = 5\n[tags]")
    before = operator.aws.snapshot
    every = _calls_of_update(operator)
    code, message, begins = ERRORS[error]
    deployed = [name for name, _ in every].index("UpdateEndpoint")
    for call in every[: deployed + 1]:
        operator.aws.refuse = {call: (code, message)}
        assert operator("update") == 1
        assert one_line(operator).startswith(f"{begins}: "), (call, operator.err)
        assert operator.aws.snapshot == before, (call, operator.out)


def _calls_of_update(operator: Operator) -> list[tuple[str, int]]:
    """Return the calls of an update that fails at its end, and is undone."""
    operator.aws.start_fails = "The primary container did not pass the ping health check."
    assert operator("update") == 1
    assert one_line(operator).startswith("rolled back: ")
    operator.aws.start_fails = ""
    every = writes(operator)
    return every[: [name for name, _ in every].index("UpdateEndpoint") + 1]


@each_error
@pytest.mark.parametrize("name", ["RegisterScalableTarget", "PutScalingPolicy"])
def test_update_is_completed_by_another_run_after_it_took_effect(
    operator: Operator, error: str, name: str
) -> None:
    assert operator("create") == 0
    operator.edit(*CHANGED_IMAGE)
    code, message, begins = ERRORS[error]
    operator.aws.refuse = {(name, 1): (code, message)}
    assert operator("update") == 1
    assert one_line(operator).startswith(f"{begins}: ")
    assert "run the command again for the rest" in operator.out
    operator.aws.refuse = {}
    assert operator("update") == 0
    assert operator.aws.policies
    assert operator.aws.endpoints["voxtral"].status == "InService"


def test_update_is_rolled_back_by_sagemaker_on_an_alarm(operator: Operator) -> None:
    assert operator("create") == 0
    before = operator.aws.snapshot
    operator.edit(*CHANGED_IMAGE)

    def alarm() -> None:
        operator.aws.alarms["voxtral-model-errors"]["StateValue"] = "ALARM"

    operator.clock.at[operator.clock.now() + 1] = alarm
    assert operator("update") == 1
    assert one_line(operator).startswith("rolled back: ")
    assert "voxtral-model-errors" in operator.err
    assert operator.aws.snapshot == before


def test_update_is_refused_while_an_alarm_is_active(operator: Operator) -> None:
    assert operator("create") == 0
    operator.aws.alarms["voxtral-model-errors"]["StateValue"] = "ALARM"
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 1
    assert "alarms voxtral-model-errors are active" in one_line(operator)
    assert writes(operator) == []


def test_rollback_command_stops_a_running_update(operator: Operator) -> None:
    assert operator("create") == 0
    before = operator.aws.snapshot
    operator.edit(*CHANGED_IMAGE)
    codes = []

    def rollback() -> None:
        codes.append(Operator(operator.aws, operator.file, operator.capture)("rollback"))

    operator.clock.at[operator.clock.now() + 1] = rollback
    assert operator("update") == 1
    assert codes == [0]
    assert operator.aws.snapshot == before


def test_rollback_that_sagemaker_fails_is_reported(operator: Operator) -> None:
    assert operator("create") == 0
    operator.edit(*CHANGED_IMAGE)
    operator.aws.start_fails, operator.aws.rollback_fails = "broken image", True
    assert operator("update") == 1
    assert "is UpdateRollbackFailed: broken image" in one_line(operator)
    assert operator("update") == 1
    assert "delete and create it" in one_line(operator)
    operator.aws.start_fails = ""
    assert operator("delete") == 0
    assert operator("create") == 0


def test_rollback_command_restores_the_previous_configuration(operator: Operator) -> None:
    assert operator("create") == 0
    assert operator("rollback") == 1
    assert "no previous configuration" in one_line(operator)
    (first,) = operator.aws.configs
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    second = operator.aws.endpoints["voxtral"].config
    assert operator("rollback") == 0
    assert operator.aws.endpoints["voxtral"].config == first
    assert operator("rollback") == 0  # back to the second one
    assert operator.aws.endpoints["voxtral"].config == second
    assert operator.aws.targets


def test_rollback_keeps_the_instances_and_needs_no_canary(operator: Operator) -> None:
    """The former fleet had one instance, of which half can't be a canary."""
    operator.edit(r"(?s)\n\[scaling\].*?(?=\n# \[prices\])", "")
    operator.edit(r"^count = 2", "count = 1")
    assert operator("create") == 0
    operator.edit(r"^count = 1", "count = 2")
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    assert operator("scale", "6") == 0
    assert operator("rollback") == 0
    assert "6" in operator.out


def test_update_changes_types_despite_autoscaling(operator: Operator) -> None:
    assert operator("create") == 0
    operator.edit(r'"ml.g6e.4xlarge"', '"ml.g6.8xlarge"')
    assert operator("update") == 0
    assert operator.aws.targets


def test_update_without_new_content_sets_alarms_tags_and_scaling_only(operator: Operator) -> None:
    assert operator("create") == 0
    operator.edit(r"^max = 4", "max = 6")
    operator.edit(r"contact-center", "speech")
    operator.edit(r"^\[tags\]", "[alarms]\nminutes = 5\n[tags]")
    assert operator("update") == 0
    assert "UpdateEndpoint" not in operator.aws.calls
    assert operator.aws.targets["endpoint/voxtral/variant/main"]["MaxCapacity"] == 6
    assert operator.aws.endpoints["voxtral"].tags["team"] == "speech"
    assert operator.aws.alarms["voxtral-model-errors"]["EvaluationPeriods"] == 5
    operator.edit(r"^\[scaling\]\nmin = 2\nmax = 6\n", "")
    assert operator("update") == 0
    assert not operator.aws.targets


def test_scale_out_adds_instances_at_once(operator: Operator) -> None:
    assert operator("create") == 0
    assert operator("scale", "4") == 0
    assert operator.aws.endpoints["voxtral"].count == 4
    assert "UpdateEndpoint" not in operator.aws.calls
    assert operator("scale", "4") == 0
    assert "nothing to do" in operator.out
    assert operator("scale", "5") == 1
    assert "scaling.max is 4" in one_line(operator)


@pytest.mark.parametrize("strategy", ["blue-green", "rolling"])
def test_scale_in_drains_by_a_second_fleet(operator: Operator, strategy: str) -> None:
    operator.edit(r"^\[tags\]", f'[update]\nstrategy = "{strategy}"\n[tags]')
    assert operator("create") == 0
    assert operator("scale", "3") == 0
    assert operator("scale", "2") == 0
    live = operator.aws.endpoints["voxtral"]
    assert live.count == 2
    assert live.deployment["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 1800
    assert operator.aws.targets
    assert operator("update") == 0
    assert "nothing to do" in operator.out
    operator.edit(*CHANGED_IMAGE)
    operator.edit(r"^min = 2", "min = 1")
    assert operator("scale", "1") == 1
    assert "the file differs from what is live" in one_line(operator)


def test_scale_in_keeps_what_rollback_restores(operator: Operator) -> None:
    assert operator("create") == 0
    (first,) = operator.aws.configs
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    assert operator("scale", "3") == 0
    assert operator("scale", "2") == 0
    assert operator("rollback") == 0
    assert operator.aws.endpoints["voxtral"].config == first


def test_scale_to_one_deploys_a_configuration_of_its_own(operator: Operator) -> None:
    operator.edit(r"^min = 2", "min = 1")
    assert operator("create") == 0
    assert operator("scale", "1") == 0
    assert operator.aws.endpoints["voxtral"].count == 1
    assert operator("scale", "0") == 1
    assert "hibernate it" in one_line(operator)


def test_scale_out_without_capacity_is_reported(operator: Operator) -> None:
    assert operator("create") == 0
    operator.aws.capacity = 2
    assert operator("scale", "4") == 1
    assert one_line(operator).startswith("capacity: ")
    operator.aws.quota = 2
    assert operator("scale", "4") == 1
    assert one_line(operator).startswith("quota: ")
    assert operator.aws.endpoints["voxtral"].count == 2


def test_hibernate_and_wake(operator: Operator) -> None:
    assert operator("wake") == 1
    assert "is not hibernated" in one_line(operator)
    assert operator("create") == 0
    before = operator.aws.snapshot
    assert operator("hibernate") == 0
    assert not operator.aws.endpoints
    assert not operator.aws.targets
    assert not operator.aws.alarms
    assert operator.aws.models
    assert "cost per hour now: 0.00" in operator.out
    assert operator("hibernate") == 0
    assert "nothing to do" in operator.out
    assert operator("wake") == 0
    assert operator.aws.snapshot == before
    assert "CreateModel" not in operator.aws.calls


@each_error
def test_wake_that_fails_leaves_the_deployment_hibernated(operator: Operator, error: str) -> None:
    assert operator("create") == 0
    assert operator("hibernate") == 0
    hibernated = operator.aws.snapshot
    code, message, _ = ERRORS[error]
    for name in ("PutMetricAlarm", "CreateEndpoint", "RegisterScalableTarget", "PutScalingPolicy"):
        operator.aws.refuse = {(name, 1): (code, message)}
        assert operator("wake") == 1
        assert operator.aws.snapshot == hibernated, name


@each_error
def test_delete_that_fails_is_completed_by_another_run(operator: Operator, error: str) -> None:
    assert operator("create") == 0
    operator.edit(*CHANGED_IMAGE)
    assert operator("update") == 0
    assert operator("delete") == 0
    every = writes(operator)
    assert operator.aws.is_empty
    assert "nothing is left that bills" in operator.out
    code, message, begins = ERRORS[error]
    for call in every:
        operator.aws.refuse = {}
        operator.edit(r"callscribe-model:[0-9.]+", "callscribe-model:1.0.0")
        assert operator("create") == 0
        operator.edit(*CHANGED_IMAGE)
        assert operator("update") == 0
        operator.aws.refuse = {call: (code, message)}
        assert operator("delete") == 1
        assert one_line(operator).startswith(f"{begins}: ")
        operator.aws.refuse = {}
        assert operator("delete") == 0
        assert operator.aws.is_empty


def test_delete_of_nothing_shows_that_nothing_is_left(operator: Operator) -> None:
    assert operator("delete") == 0
    assert "nothing is left that bills" in operator.out


def test_commands_are_refused_while_an_update_runs(operator: Operator) -> None:
    assert operator("create") == 0
    operator.aws.endpoints["voxtral"].status = "SystemUpdating"
    for command in (("update",), ("delete",), ("hibernate",), ("scale", "3"), ("rollback",)):
        assert operator(*command) == 1
        assert one_line(operator).startswith("busy: ")
        assert writes(operator) == []


def test_resources_of_another_deployment_are_left_alone(operator: Operator) -> None:
    assert operator("create") == 0
    operator.edit(r'^name = "voxtral"', 'name = "voxtral-two"')
    assert operator("create") == 0
    assert operator("delete") == 0
    operator.edit(r'^name = "voxtral-two"', 'name = "voxtral"')
    assert operator("create") == 0
    assert "nothing to do" in operator.out
    assert operator("delete") == 0
    assert operator.aws.is_empty


def test_state_that_cannot_be_read_is_reported(operator: Operator) -> None:
    operator.aws.refuse = {("DescribeEndpoint", 1): ("ExpiredTokenException", "The token expired.")}
    assert operator("status") == 1
    assert one_line(operator).startswith("credentials: ")
    operator.aws.refuse, operator.aws.unreachable = {}, {"ListModels"}
    assert operator("status") == 1
    assert one_line(operator).startswith("unreachable: ")


def test_polls_that_fail_do_not_end_a_wait(operator: Operator) -> None:
    operator.aws.refuse = {
        ("DescribeEndpoint", 3): ("ThrottlingException", "Rate exceeded"),
        ("DescribeEndpoint", 4): ("InternalFailure", ""),
    }
    assert operator("create") == 0


def test_command_without_confirmation_changes_nothing(operator: Operator) -> None:
    assert run(["--file", str(operator.file), "create"], operator.clock) == 1
    assert "not confirmed" in operator.capture.readouterr().err
    assert operator.aws.is_empty
