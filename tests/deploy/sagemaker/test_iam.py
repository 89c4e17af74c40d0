"""deploy/iam: the policies are valid, sufficient for the commands, and no wider."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.sagemaker.conftest import Operator
from tests.deploy.sagemaker.lint import findings

FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy/iam"
PLACEHOLDERS: Final = {
    "REGION": "eu-central-1",
    "ACCOUNT": "123456789012",
    "SECURITY-GROUP": "sg-1",
    "SUBNET": "subnet-1",
    "NAME": "voxtral",
    "ROLE": "callscribe-endpoint",
    "BUCKET": "example-models",
    "PREFIX": "voxtral-mini-4b-realtime",
    "REPOSITORY": "callscribe-model",
}
# cfn-lint 1.58.0 does not list the action yet.
UNLISTED: Final = "'invokeendpointwithbidirectionalstream' is not one of"


def policy(name: str) -> Any:
    text = (FOLDER / name).read_text()
    for placeholder, value in PLACEHOLDERS.items():
        text = re.sub(rf"(?<![A-Z-]){placeholder}(?![A-Z])", value, text)
    return json.loads(text)


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(name: str) -> dict[str, list[str]]:
    """Return the resources of each action."""
    found: dict[str, list[str]] = {}
    for statement in policy(name)["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            found.setdefault(action, []).extend(as_list(statement["Resource"]))
    return found


def test_policies_pass_the_linter(tmp_path: Path) -> None:
    trust = policy("endpoint-trust.json")
    resources: dict[str, Any] = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    }
    files = sorted(FOLDER.glob("*.json"))
    assert len(files) == 6
    for file in files:
        if file.name != "endpoint-trust.json":
            resources[re.sub(r"\W", "", file.stem)] = {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"PolicyDocument": policy(file.name)},
            }
    template = tmp_path / "policies.json"
    template.write_text(json.dumps({"Resources": resources}))
    found = [text for _, text in findings(template) if not text.startswith(UNLISTED)]
    assert found == []


def test_linter_rejects_an_unknown_action_and_a_resource_of_another_kind(tmp_path: Path) -> None:
    document = policy("gateway.json")
    document["Statement"][0]["Action"] = ["sagemaker:InvokeEndpoints", "sagemaker:InvokeEndpoint"]
    document["Statement"][0]["Resource"] = "arn:aws:sagemaker:eu-central-1:123456789012:model/x"
    properties = {"PolicyDocument": document}
    resource = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
    template = tmp_path / "policies.json"
    template.write_text(json.dumps({"Resources": {"Policy": resource}}))
    assert len(findings(template)) == 2


@pytest.fixture
def actions(operator: Operator) -> set[str]:
    """Return the IAM actions of all calls of a deployment's life."""
    calls: list[str] = []

    def command(*arguments: str, code: int = 0) -> None:
        assert operator(*arguments) == code
        calls.extend(operator.aws.calls)

    command("create")
    operator.edit("callscribe-model:1.0.0", "callscribe-model:1.1.0")
    operator.aws.start_fails = "The container did not start."
    command("update", code=1)
    operator.aws.start_fails = ""
    for name in ("update", "rollback", "update", "hibernate", "wake"):
        command(name)
    command("scale", "3")
    command("delete")
    services = {"Alarm": "cloudwatch", "Scal": "application-autoscaling"}
    return {
        next((to for part, to in services.items() if part in each), "sagemaker") + f":{each}"
        for each in calls
    }


def test_builder_may_do_what_the_commands_do_and_no_more(actions: set[str]) -> None:
    # Passing the role, the role of autoscaling, and tags of alarms have no call of their own.
    indirect = {"iam:PassRole", "iam:CreateServiceLinkedRole", "cloudwatch:TagResource"}
    assert allowed("builder.json").keys() == actions | indirect


def test_only_actions_without_resources_are_allowed_on_all() -> None:
    for file in FOLDER.glob("*.json"):
        if file.name == "endpoint-trust.json":
            continue
        for action, resources in allowed(file.name).items():
            verb = action.partition(":")[2]
            if "*" in resources:
                assert verb.startswith(("List", "Describe", "GetAuthorization", "PutMetricData"))


def test_builder_covers_the_resources_of_the_deployment() -> None:
    rights = allowed("builder.json")
    base = "arn:aws:sagemaker:eu-central-1:123456789012"
    for action, resource in (
        ("sagemaker:CreateModel", f"{base}:model/voxtral-0123456789"),
        ("sagemaker:UpdateEndpoint", f"{base}:endpoint-config/voxtral-0123456789"),
        ("sagemaker:UpdateEndpoint", f"{base}:endpoint/voxtral"),
        (
            "cloudwatch:SetAlarmState",
            "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:voxtral-rollback",
        ),
    ):
        assert any(fnmatchcase(resource, pattern) for pattern in rights[action])
    assert not any(
        fnmatchcase(f"{base}:endpoint/other", each) for each in rights["sagemaker:DeleteEndpoint"]
    )
