"""A stateful fake of SageMaker, Application Auto Scaling and CloudWatch.

It is behind real boto3 clients, which check parameters and make the exceptions. What it refuses,
and in which words, follows the documentation of AWS; where the documentation only says "must not",
it refuses. Each DescribeEndpoint is one tick: deployments make progress by being polled.
"""

# ruff: noqa: N802, N803  # methods and arguments have the names of AWS' operations and members

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import EndpointConnectionError

from tests.deploy.sagemaker.shapes import problems

ACCOUNT = "123456789012"
TICKS = 3  # polls per phase of a deployment
_real_client = boto3.client


class RefusedError(Exception):
    """An error reply: code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> RefusedError:
    return RefusedError("ValidationException", message)


@dataclass
class Endpoint:
    config: str
    status: str
    count: int
    tags: dict[str, str]
    deployment: dict[str, Any] = field(default_factory=dict)
    pending: str | None = None
    wanted: int = 0
    ticks: int = 0
    reason: str = ""


@dataclass
class FakeAws:
    """The account. Assign the attributes of faults to make AWS fail."""

    models: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    alarms: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    # Faults.
    refuse: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    lose_reply: set[str] = field(default_factory=set)  # carried out, but the reply is lost
    unreachable: set[str] = field(default_factory=set)
    quota: int = 100  # instances
    capacity: int = 100
    start_fails: str = ""  # FailureReason of new instances
    rollback_fails: bool = False

    def client(self, service: str, **options: Any) -> Any:
        client = _real_client(
            service,
            region_name=options["region_name"],
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        events = client.meta.events
        events.register("before-parameter-build", self._note)
        events.register("before-call", self._answer)
        return client

    @property
    def is_empty(self) -> bool:
        return not any(
            (self.models, self.configs, self.endpoints, self.targets, self.policies, self.alarms)
        )

    @property
    def snapshot(self) -> dict[int, Any]:
        """What exists, without what only records the past."""
        endpoints = {
            name: (each.config, each.status, each.count, dict(each.tags))
            for name, each in self.endpoints.items()
        }
        alarms = {
            n: {k: v for k, v in a.items() if k != "StateValue"} for n, a in self.alarms.items()
        }
        parts = (self.models, self.configs, endpoints, self.targets, self.policies, alarms)
        return copy.deepcopy(dict(enumerate(parts)))

    def _note(self, params: Any, model: Any, context: Any, **_: Any) -> None:
        context["noted"] = copy.deepcopy(params)

    def _answer(self, model: Any, context: Any, **_: Any) -> Any:
        params, name = context["noted"], model.name
        self.calls.append(name)
        if name in self.unreachable:
            raise EndpointConnectionError(endpoint_url="https://fake")
        try:
            reply = self._carry_out(model, params)
        except RefusedError as error:
            return _Http(400), {"Error": {"Code": error.code, "Message": str(error)}}
        if name in self.lose_reply:
            self.lose_reply.discard(name)
            raise EndpointConnectionError(endpoint_url="https://fake")
        assert (
            not (unknown := reply.keys() - model.output_shape.members.keys()) if reply else True
        ), unknown
        return _Http(200), {"ResponseMetadata": {}, **reply}

    def _carry_out(self, model: Any, params: Any) -> Any:
        if fault := self.refuse.get((model.name, Counter(self.calls)[model.name])):
            raise RefusedError(*fault)
        if wrong := list(problems(model.input_shape, params)):
            raise invalid("; ".join(wrong))
        return getattr(self, f"_{model.name}")(**params) or {}

    # SageMaker

    def _CreateModel(self, ModelName: str, **params: Any) -> Any:
        if ModelName in self.models:
            raise invalid(f'Cannot create already existing model "{arn("model", ModelName)}".')
        self.models[ModelName] = params
        return {"ModelArn": arn("model", ModelName)}

    def _DeleteModel(self, ModelName: str) -> None:
        if ModelName not in self.models:
            raise invalid(f'Could not find model "{arn("model", ModelName)}".')
        del self.models[ModelName]

    def _ListModels(self, NameContains: str, MaxResults: int, NextToken: str = "0") -> Any:
        names = sorted(name for name in self.models if NameContains in name)
        return _page("Models", names, NextToken, lambda name: _listed("Model", name))

    def _CreateEndpointConfig(self, EndpointConfigName: str, **params: Any) -> Any:
        if EndpointConfigName in self.configs:
            raise invalid(
                "Cannot create already existing endpoint configuration "
                f'"{arn("endpoint-config", EndpointConfigName)}".'
            )
        (variant,) = params["ProductionVariants"]
        if variant["ModelName"] not in self.models:
            raise invalid(f'Could not find model "{arn("model", variant["ModelName"])}".')
        if ("InstanceType" in variant) == ("InstancePools" in variant):
            raise invalid("Specify either InstanceType or InstancePools.")
        self.configs[EndpointConfigName] = params
        return {"EndpointConfigArn": arn("endpoint-config", EndpointConfigName)}

    def _DeleteEndpointConfig(self, EndpointConfigName: str) -> None:
        if EndpointConfigName not in self.configs:
            raise invalid("Could not find endpoint configuration.")
        if any(EndpointConfigName in (e.config, e.pending) for e in self.endpoints.values()):
            raise invalid("The endpoint configuration is in use.")
        del self.configs[EndpointConfigName]

    def _DescribeEndpointConfig(self, EndpointConfigName: str) -> Any:
        if EndpointConfigName not in self.configs:
            raise invalid("Could not find endpoint configuration.")
        params = {k: v for k, v in self.configs[EndpointConfigName].items() if k != "Tags"}
        return {
            "EndpointConfigName": EndpointConfigName,
            "EndpointConfigArn": arn("endpoint-config", EndpointConfigName),
            **params,
        }

    def _ListEndpointConfigs(self, NameContains: str, MaxResults: int, NextToken: str = "0") -> Any:
        names = sorted(name for name in self.configs if NameContains in name)
        return _page(
            "EndpointConfigs", names, NextToken, lambda name: _listed("EndpointConfig", name)
        )

    def _CreateEndpoint(self, EndpointName: str, EndpointConfigName: str, Tags: Any = ()) -> Any:
        if EndpointName in self.endpoints:
            raise invalid(
                f'Cannot create already existing endpoint "{arn("endpoint", EndpointName)}".'
            )
        count = self._variant(EndpointConfigName)["InitialInstanceCount"]
        self._need(count)
        self.endpoints[EndpointName] = Endpoint(
            EndpointConfigName, "Creating", 0, _tags(Tags), wanted=count
        )
        return {"EndpointArn": arn("endpoint", EndpointName)}

    def _UpdateEndpoint(self, EndpointName: str, EndpointConfigName: str, **params: Any) -> Any:
        live = self._idle(EndpointName)
        old, new = self._variant(live.config), self._variant(EndpointConfigName)
        if live.config == EndpointConfigName:
            raise invalid("To update an endpoint, you must create a new EndpointConfig.")
        if old["VariantName"] != new["VariantName"]:
            raise invalid("The variant names differ.")
        if self.targets:
            raise invalid("Deregister the variant from auto scaling before you update it.")
        _check_policy(params["DeploymentConfig"], new["InitialInstanceCount"])
        for each in _alarms_of(params["DeploymentConfig"]):
            if each not in self.alarms:
                raise invalid(f"Alarm {each} does not exist.")
        keeps = params["RetainAllVariantProperties"]
        live.wanted = live.count if keeps else new["InitialInstanceCount"]
        self._need(live.wanted)
        live.status, live.pending, live.ticks = "Updating", EndpointConfigName, 0
        live.deployment, live.reason = params["DeploymentConfig"], ""
        return {"EndpointArn": arn("endpoint", EndpointName)}

    def _UpdateEndpointWeightsAndCapacities(
        self, EndpointName: str, DesiredWeightsAndCapacities: Any
    ) -> Any:
        live = self._idle(EndpointName)
        (wanted,) = DesiredWeightsAndCapacities
        self._need(wanted["DesiredInstanceCount"] - live.count)
        live.status, live.wanted, live.ticks = "Updating", wanted["DesiredInstanceCount"], 0
        live.reason = ""
        return {"EndpointArn": arn("endpoint", EndpointName)}

    def _DeleteEndpoint(self, EndpointName: str) -> None:
        live = self._idle(EndpointName)
        live.status, live.ticks = "Deleting", 0
        for resource in [each for each in self.targets if f"/{EndpointName}/" in each]:
            self._deregister(resource)

    def _DescribeEndpoint(self, EndpointName: str) -> Any:
        self._tick(EndpointName)
        live = self._endpoint(EndpointName)
        variant = self._variant(live.config)
        reply: dict[str, Any] = {
            "EndpointName": EndpointName,
            "EndpointArn": arn("endpoint", EndpointName),
            "EndpointConfigName": live.config,
            "EndpointStatus": live.status,
            "ProductionVariants": [
                {
                    "VariantName": variant["VariantName"],
                    "CurrentInstanceCount": live.count,
                    "DesiredInstanceCount": live.wanted,
                    **_running(variant, live.count),
                }
            ],
        }
        if live.reason:
            reply["FailureReason"] = live.reason
        if live.pending:
            baking = live.ticks > TICKS
            reply["PendingDeploymentSummary"] = {
                "EndpointConfigName": live.pending,
                "ProductionVariants": [
                    {
                        "VariantName": variant["VariantName"],
                        "VariantStatus": [{"Status": "Baking" if baking else "Creating"}],
                    }
                ],
            }
        return reply

    def _AddTags(self, ResourceArn: str, Tags: Any) -> Any:
        self._endpoint(ResourceArn.rpartition("/")[2]).tags.update(_tags(Tags))
        return {"Tags": Tags}

    def _DeleteTags(self, ResourceArn: str, TagKeys: list[str]) -> None:
        for key in TagKeys:
            self._endpoint(ResourceArn.rpartition("/")[2]).tags.pop(key, None)

    def _ListTags(self, ResourceArn: str) -> Any:
        tags = self._endpoint(ResourceArn.rpartition("/")[2]).tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _tick(self, name: str) -> None:
        live = self._endpoint(name)
        live.ticks += 1
        if live.ticks < TICKS:
            return
        match live.status:
            case "Creating":
                self._started(live, failed="Failed")
            case "Updating" if live.pending is None:
                live.status = "InService"
                self._scaled(live)
            case "Updating":
                self._deploy(live)
            case "RollingBack" if live.ticks > 2 * TICKS:
                live.status = "UpdateRollbackFailed" if self.rollback_fails else "InService"
            case "Deleting":
                del self.endpoints[name]
            case _:
                pass

    def _started(self, live: Endpoint, failed: str) -> None:
        live.reason = self.start_fails
        if live.wanted > self.capacity:
            live.reason = "CapacityError: Unable to provision requested ML compute capacity."
        live.status = failed if live.reason else "InService"
        live.count = 0 if live.reason else live.wanted

    def _scaled(self, live: Endpoint) -> None:
        if live.wanted > self.capacity:
            live.reason = "CapacityError: Unable to provision requested ML compute capacity."
            live.wanted = live.count
        live.count = live.wanted

    def _deploy(self, live: Endpoint) -> None:
        active = [
            each
            for each in _alarms_of(live.deployment)
            if self.alarms[each]["StateValue"] == "ALARM"
        ]
        if self.start_fails:
            live.reason = self.start_fails
        elif active:
            live.reason = f"The following alarms are in ALARM: {', '.join(active)}"
        if live.reason:
            live.status, live.pending, live.ticks = "RollingBack", None, 0
        elif live.ticks > 3 * TICKS:
            live.status, live.count = "InService", live.wanted
            live.config, live.pending = live.pending or live.config, None

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise invalid(f'Could not find endpoint "{arn("endpoint", name)}".')
        return self.endpoints[name]

    def _idle(self, name: str) -> Endpoint:
        live = self._endpoint(name)
        if live.status not in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed"):
            raise invalid(f'Cannot update in-progress endpoint "{arn("endpoint", name)}".')
        return live

    def _variant(self, config: str) -> Any:
        if config not in self.configs:
            raise invalid(
                f'Could not find endpoint configuration "{arn("endpoint-config", config)}".'
            )
        return self.configs[config]["ProductionVariants"][0]

    def _need(self, count: int) -> None:
        used = sum(each.count for each in self.endpoints.values())
        if used + count > self.quota:
            raise RefusedError(
                "ResourceLimitExceeded",
                "The account-level service limit 'ml.g6.4xlarge for endpoint usage' is "
                f"{self.quota} Instances, with current utilization of {used} Instances and a "
                f"request delta of {count} Instances.",
            )

    # Application Auto Scaling

    def _RegisterScalableTarget(self, ResourceId: str, **params: Any) -> Any:
        _, endpoint, _, variant = ResourceId.split("/")
        live = self._endpoint(endpoint)
        if self._variant(live.config)["VariantName"] != variant or live.status != "InService":
            raise invalid("The variant does not exist, or its endpoint is being updated.")
        self.targets[ResourceId] = params
        return {"ScalableTargetARN": "arn"}

    def _DeregisterScalableTarget(self, ResourceId: str, **_: Any) -> None:
        if ResourceId not in self.targets:
            raise RefusedError("ObjectNotFoundException", "No scalable target found.")
        self._deregister(ResourceId)

    def _deregister(self, resource: str) -> None:
        del self.targets[resource]
        for name in [n for n, each in self.policies.items() if each["ResourceId"] == resource]:
            del self.policies[name]

    def _DescribeScalableTargets(self, ResourceIds: list[str], **_: Any) -> Any:
        found = [{"ResourceId": n, **p} for n, p in self.targets.items() if n in ResourceIds]
        return {"ScalableTargets": found}

    def _PutScalingPolicy(self, PolicyName: str, ResourceId: str, **params: Any) -> Any:
        if ResourceId not in self.targets:
            raise RefusedError("ObjectNotFoundException", "No scalable target registered.")
        self.policies[PolicyName] = {"ResourceId": ResourceId, **params}
        return {"PolicyARN": "arn"}

    def _DescribeScalingPolicies(self, ResourceId: str, **_: Any) -> Any:
        found = [
            {"PolicyName": n, **p, "Alarms": []}
            for n, p in self.policies.items()
            if p["ResourceId"] == ResourceId
        ]
        return {"ScalingPolicies": found}

    # CloudWatch

    def _PutMetricAlarm(self, AlarmName: str, **params: Any) -> None:
        params.pop("Tags", None)
        state = self.alarms.get(AlarmName, {}).get("StateValue", "INSUFFICIENT_DATA")
        self.alarms[AlarmName] = {**params, "StateValue": state}

    def _DeleteAlarms(self, AlarmNames: list[str]) -> None:
        for name in AlarmNames:
            if self.alarms.pop(name, None) is None:
                raise RefusedError("ResourceNotFound", f"Alarm {name} does not exist.")

    def _DescribeAlarms(self, AlarmNames: list[str], **_: Any) -> Any:
        found = [{"AlarmName": n, **p} for n, p in self.alarms.items() if n in AlarmNames]
        return {"MetricAlarms": found}

    def _SetAlarmState(self, AlarmName: str, StateValue: str, StateReason: str) -> None:
        if AlarmName not in self.alarms:
            raise RefusedError("ResourceNotFound", f"Alarm {AlarmName} does not exist.")
        self.alarms[AlarmName]["StateValue"] = StateValue


class _Http:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:eu-central-1:{ACCOUNT}:{kind}/{name}"


def _tags(tags: Any) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in tags}


def _listed(kind: str, name: str) -> dict[str, str]:
    return {f"{kind}Name": name}


def _page(member: str, names: list[str], token: str, entry: Any) -> dict[str, Any]:
    """One page has one entry, so that every listing has several."""
    at = int(token)
    reply: dict[str, Any] = {member: [entry(name) for name in names[at : at + 1]]}
    return {**reply, "NextToken": str(at + 1)} if at + 1 < len(names) else reply


def _running(variant: Any, count: int) -> dict[str, Any]:
    if "InstanceType" in variant:
        return {"InstanceType": variant["InstanceType"]}
    pools = [
        {"InstanceType": each["InstanceType"], "CurrentInstanceCount": 0 if at else count}
        for at, each in enumerate(variant["InstancePools"])
    ]
    return {"InstancePools": pools}


def _alarms_of(deployment: Any) -> list[str]:
    return [each["AlarmName"] for each in deployment["AutoRollbackConfiguration"]["Alarms"]]


def _check_policy(deployment: Any, count: int) -> None:
    if ("BlueGreenUpdatePolicy" in deployment) == ("RollingUpdatePolicy" in deployment):
        raise invalid("Only one update policy should be used.")
    if rolling := deployment.get("RollingUpdatePolicy"):
        waits, step = rolling["WaitIntervalInSeconds"], rolling["MaximumBatchSize"]
        limit = rolling["MaximumExecutionTimeoutInSeconds"]
    else:
        policy = deployment["BlueGreenUpdatePolicy"]
        routing = policy["TrafficRoutingConfiguration"]
        waits = policy["TerminationWaitInSeconds"] + routing["WaitIntervalInSeconds"]
        step, limit = routing.get("CanarySize"), policy["MaximumExecutionTimeoutInSeconds"]
        if (routing["Type"] == "CANARY") != (step is not None):
            raise invalid("CanarySize is required for CANARY.")
    if step and (step["Value"] > 50 or count == 1):
        raise invalid("The size of a step is at most 50 % of the variant's instances.")
    if limit <= waits:
        raise invalid("MaximumExecutionTimeoutInSeconds must exceed the waits.")
