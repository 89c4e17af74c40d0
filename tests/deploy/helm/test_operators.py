"""Objects of operators are valid by the schemas of their definitions, as published on npm."""

import json
import shutil
import subprocess

from tests.deploy.helm.charts import Object, installations, render
from tests.deploy.watching import rules, selectors
from tests.npm import installed

# Kind: the package with its schema.
PACKAGES = {
    "ServiceMonitor": ("@kubernetes-models/prometheus-operator", "6.0.0"),
    "ScaledObject": ("@kubernetes-models/keda", "2.0.0"),
    "ExternalSecret": ("@kubernetes-models/external-secrets", "2.0.0"),
    "HTTPRoute": ("@kubernetes-models/gateway-api", "2.0.0"),
}
VALIDATE = """
const { pathToFileURL } = await import("node:url");
const { readFileSync } = await import("node:fs");
const problems = [];
for (const [file, object] of JSON.parse(readFileSync(0, "utf8"))) {
  const Model = (await import(pathToFileURL(file)))[object.kind];
  try { new Model(object).validate(); } catch (error) { problems.push(error.message); }
}
console.log(JSON.stringify(problems));
"""


def problems(objects: list[Object]) -> list[str]:
    """Return what the schemas find in the objects of operators."""
    pairs = []
    for each in objects:
        folder = installed(*PACKAGES[each["kind"]])
        pairs.append((str(folder / each["apiVersion"] / f"{each['kind']}.js"), each))
    node = shutil.which("node") or "node"  # npm comes with it
    done = subprocess.run(  # noqa: S603 - arguments of this file
        (node, "--input-type=module", "--eval", VALIDATE),
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [str(each) for each in json.loads(done.stdout)]


def test_objects_of_operators_are_valid() -> None:
    rendered = [each for _, values in installations() for each in render(values)]
    objects = [each for each in rendered if each["kind"] in PACKAGES]
    assert {each["kind"] for each in objects} == PACKAGES.keys()
    assert problems(objects) == []
    assert len(problems([objects[0] | {"spec": "unknown"}])) == 1


def test_jobs_of_prometheus_are_those_of_the_alerts() -> None:
    wanted = {
        job
        for rule in rules("alert")
        for selector in selectors(rule["expr"])
        for label, _, value in selector.matchers
        if label == "job"
        for job in value.split("|")
    }
    objects = render(
        {
            "gateway": {"publicUrl": "https://a.b"},
            "relay": {"publicUrl": "https://c.d"},
            "vllm": {"enabled": True},
            "serviceMonitor": {"enabled": True},
        }
    )
    [monitor] = [each for each in objects if each["kind"] == "ServiceMonitor"]
    label, selected = monitor["spec"]["jobLabel"], monitor["spec"]["selector"]["matchLabels"]
    jobs = {
        each["metadata"]["labels"][label]
        for each in objects
        if each["kind"] == "Service" and selected.items() <= each["metadata"]["labels"].items()
    }
    assert jobs == {"callscribe-gateway", "callscribe-workers", "callscribe-vllm"}
    assert wanted == jobs | {"callscribe-bridge"}  # the chart runs vLLM without a bridge
