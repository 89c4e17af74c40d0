"""deploy/sagemaker/template.yaml: it is valid, and makes the same as the commands."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.sagemaker import requests
from deploy.sagemaker.config import Deployment, parse
from tests.deploy.sagemaker.conftest import EXAMPLE
from tests.deploy.sagemaker.lint import findings

TEMPLATE: Final = EXAMPLE.with_name("template.yaml")


NO_VALUE: Final = object()
PAGE: Final = EXAMPLE.parents[2] / "docs/deploy-sagemaker.md"

# Keeps CloudFormation's short functions as pairs.
Loader: Any = type("Loader", (yaml.SafeLoader,), {})
for tag in ("Ref", "Sub", "GetAtt"):
    Loader.add_constructor(f"!{tag}", lambda loader, node, tag=tag: (tag, node.value))
for tag in ("If", "Equals"):
    Loader.add_constructor(
        f"!{tag}", lambda loader, node, tag=tag: (tag, loader.construct_sequence(node, deep=True))
    )


def resolved(value: Any, known: dict[str, Any]) -> Any:
    """Return a value with references and substitutions replaced."""
    match value:
        case dict():
            items = ((key, resolved(each, known)) for key, each in value.items())
            return {key: each for key, each in items if each is not NO_VALUE}
        case list():
            return [resolved(each, known) for each in value]
        case ("Sub", text):
            for name, each in known.items():
                text = text.replace("${" + name + "}", str(each))
            return text
        case ("Ref" | "GetAtt", name):
            return known[name]
        case ("If", (condition, yes, no)):
            return resolved(yes if known[condition] else no, known)
        case ("Equals", (one, other)):
            return resolved(one, known) == resolved(other, known)
        case _:
            return value


def parsed_template() -> Any:
    return Loader(TEMPLATE.read_text()).get_single_data()


def stack(deployment: Deployment) -> dict[str, Any]:
    """Return the properties of the template's resources, with the parameters of a deployment."""
    template = parsed_template()
    known = {name: each.get("Default") for name, each in template["Parameters"].items()}
    alarms = [*requests.alarms(deployment)]
    known |= {
        "Image": deployment.model.image,
        "Role": deployment.model.role,
        "Data": deployment.model.data,
        "Count": deployment.instances.count,
        "AWS::NoValue": NO_VALUE,
        "Model.ModelName": requests.model(deployment)["ModelName"],
        "Configuration.EndpointConfigName": requests.config(deployment)["EndpointConfigName"],
        "Endpoint.EndpointName": deployment.name,
        "ScalableTarget": "",
        **dict(
            zip(("ServerErrors", "ModelErrors", "MidStreamErrors", "Rollback"), alarms, strict=True)
        ),
    }
    known |= resolved(template["Conditions"], known)
    return {
        name: resolved(each["Properties"], known) for name, each in template["Resources"].items()
    }


def without(params: Any, *names: str) -> dict[str, Any]:
    return {name: each for name, each in params.items() if name not in names}


def test_template_passes_the_linter() -> None:
    assert findings(TEMPLATE) == []


def test_linter_rejects_a_wrong_template(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE.read_text().replace("InstancePools", "InstancePool"))
    assert findings(template)


@pytest.mark.parametrize("count", [1, 2])
def test_template_makes_what_the_commands_make(count: int) -> None:
    text = EXAMPLE.read_text()
    assert "\ncount = 2\n" in text
    assert "\nmin = 2\n" in text
    changed = text.replace("count = 2\n", f"count = {count}\n").replace("min = 2", f"min = {count}")
    deployment = parse(changed, "example")
    made = stack(deployment)
    model = without(requests.model(deployment), "ModelName")
    model["PrimaryContainer"]["Environment"]["SM_VLLM_MAX_NUM_SEQS"] = 5
    assert made.pop("Model") == model
    assert made.pop("Configuration") == without(requests.config(deployment), "EndpointConfigName")
    update = requests.update(
        deployment, requests.config(deployment)["EndpointConfigName"], keep_count=True
    )
    assert made.pop("Endpoint") == {**requests.endpoint(deployment), **update}
    assert made.pop("ScalableTarget") == requests.target(deployment)
    policy = without(requests.policy(deployment), *requests.scalable(deployment))
    assert without(made.pop("ScalingPolicy"), "ScalingTargetId") == policy
    assert {each["AlarmName"]: each for each in made.values()} == requests.alarms(deployment)


def test_page_lists_the_parameters_and_a_command_with_the_required_ones() -> None:
    parameters = parsed_template()["Parameters"]
    section = PAGE.read_text().partition("\n## CloudFormation\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE))
    assert rows == {name: str(each.get("Default", "")) for name, each in parameters.items()}
    given = set(re.findall(r"\b(\w+)=", section.partition("--parameter-overrides")[2]))
    assert given == {name for name, each in parameters.items() if "Default" not in each}
