"""Calls AWS: reads what exists of a deployment, and carries out the calls of a plan."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from deploy.sagemaker import requests
from deploy.sagemaker.config import Deployment
from deploy.sagemaker.errors import DeployError, Kind, one_line, refused
from deploy.sagemaker.state import Endpoint, State
from deploy.sagemaker.steps import Call, Service

# Standard mode retries throttled and failed requests with exponential backoff.
_CONFIG: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=5, read_timeout=60
)
_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
    NoRegionError,
)
_MODELS: Final = ("list_models", "Models", "ModelName")
_CONFIGS: Final = ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")


class Aws:
    """The clients of one region."""

    def __init__(self, region: str) -> None:
        try:
            self._clients: Final = {
                each: boto3.client(each.value, region_name=region, config=_CONFIG)
                for each in Service
            }
        except BotoCoreError as error:  # e.g. an AWS_PROFILE that does not exist
            raise _of_client(error) from None

    def call(self, call: Call) -> Mapping[str, Any]:
        """Carry out one call.

        Raises:
            DeployError: AWS refused it, or did not reply.
        """
        try:
            reply = getattr(self._clients[call.service], call.operation)(**call.params)
        except ClientError as error:
            raise refused(call, error.response["Error"]) from None
        except BotoCoreError as error:
            raise _of_client(error) from None
        return dict(reply)

    def endpoint(self, name: str) -> Endpoint | None:
        """Return the endpoint without its tags, or None."""
        found = self._find(_sagemaker("describe_endpoint", EndpointName=name))
        return None if found is None else _endpoint(found)

    def state(self, deployment: Deployment) -> State:
        """Return all that exists of a deployment."""
        live = self.endpoint(deployment.name)
        own = re.compile(rf"{re.escape(deployment.name)}-[0-9a-f]{{10}}")
        configs = [n for n in self._names(deployment, _CONFIGS) if own.fullmatch(n)]
        alarms = self._alarms(deployment)
        return State(
            endpoint=live and self._tagged(live),
            models=frozenset(n for n in self._names(deployment, _MODELS) if own.fullmatch(n)),
            configs={name: each for name in configs if (each := self._model_of(name))},
            target=self._target(deployment),
            policies=self._policies(deployment),
            alarms={each["AlarmName"]: _alarm(each) for each in alarms},
            alarming=frozenset(a["AlarmName"] for a in alarms if a["StateValue"] == "ALARM"),
        )

    def _find(self, call: Call) -> Mapping[str, Any] | None:
        try:
            return self.call(call)
        except DeployError as error:
            if error.kind is Kind.MISSING:
                return None
            raise

    def _tagged(self, live: Endpoint) -> Endpoint:
        found = self._find(_sagemaker("list_tags", ResourceArn=live.arn))
        tags = {each["Key"]: each["Value"] for each in found["Tags"]} if found else {}
        return Endpoint(
            **{name: getattr(live, name) for name in Endpoint.__slots__ if name != "tags"},
            tags=tags,
        )

    def _names(self, deployment: Deployment, listing: tuple[str, str, str]) -> Iterator[str]:
        operation, member, name = listing
        params: dict[str, Any] = {"NameContains": f"{deployment.name}-", "MaxResults": 100}
        while True:
            page = self.call(Call(Service.SAGEMAKER, operation, params))
            yield from (each[name] for each in page[member])
            if not page.get("NextToken"):
                return
            params["NextToken"] = page["NextToken"]

    def _model_of(self, config: str) -> str | None:
        found = self._find(_sagemaker("describe_endpoint_config", EndpointConfigName=config))
        return str(found["ProductionVariants"][0].get("ModelName", "")) if found else None

    def _target(self, deployment: Deployment) -> Mapping[str, Any] | None:
        scalable = requests.scalable(deployment)
        params = {
            "ServiceNamespace": scalable["ServiceNamespace"],
            "ResourceIds": [scalable["ResourceId"]],
            "ScalableDimension": scalable["ScalableDimension"],
        }
        found = self.call(Call(Service.AUTOSCALING, "describe_scalable_targets", params))
        names = (*scalable, "MinCapacity", "MaxCapacity")
        targets = [_only(each, names) for each in found["ScalableTargets"]]
        return targets[0] if targets else None

    def _policies(self, deployment: Deployment) -> tuple[Mapping[str, Any], ...]:
        params = requests.scalable(deployment)
        found = self.call(Call(Service.AUTOSCALING, "describe_scaling_policies", params))
        names = (
            *params,
            "PolicyName",
            "PolicyType",
            "TargetTrackingScalingPolicyConfiguration",
            "StepScalingPolicyConfiguration",
        )
        return tuple(_only(each, names) for each in found["ScalingPolicies"])

    def _alarms(self, deployment: Deployment) -> list[Mapping[str, Any]]:
        params = {"AlarmNames": [*requests.alarms(deployment)], "AlarmTypes": ["MetricAlarm"]}
        found = self.call(Call(Service.CLOUDWATCH, "describe_alarms", params))
        return list(found["MetricAlarms"])


def _sagemaker(operation: str, **params: object) -> Call:
    return Call(Service.SAGEMAKER, operation, params)


def _endpoint(found: Mapping[str, Any]) -> Endpoint:
    variant: Mapping[str, Any] = next(iter(found.get("ProductionVariants", ())), {})
    pending = found.get("PendingDeploymentSummary", {})
    variants = [*pending.get("ProductionVariants", ()), variant]
    return Endpoint(
        arn=found["EndpointArn"],
        status=found["EndpointStatus"],
        config=found["EndpointConfigName"],
        count=variant.get("CurrentInstanceCount", 0),
        desired=variant.get("DesiredInstanceCount", 0),
        running=_running(variants),
        pending=pending.get("EndpointConfigName"),
        reason=one_line(found.get("FailureReason", "")),
        messages=tuple(_messages(variants)),
    )


def _running(variants: list[Mapping[str, Any]]) -> dict[str, int]:
    """Return the instances by type, of both fleets during a deployment."""
    found: Counter[str] = Counter()
    for variant in variants:
        for each in variant.get("InstancePools") or (variant,):
            found[each.get("InstanceType", "")] += each.get("CurrentInstanceCount", 0)
    return {name: count for name, count in found.items() if name and count}


def _messages(variants: list[Mapping[str, Any]]) -> Iterator[str]:
    for each in variants:
        for status in each.get("VariantStatus", ()):
            yield one_line(f"{status['Status']} {status.get('StatusMessage', '')}")


def _alarm(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return _only(found, requests.ALARM_FIELDS)


def _only(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _of_client(error: BotoCoreError) -> DeployError:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, _CREDENTIALS) or "rofile" in type(error).__name__:
        return DeployError(Kind.CREDENTIALS, text)
    if isinstance(error, ParamValidationError):
        return DeployError(Kind.REFUSED, text)
    return DeployError(Kind.UNREACHABLE, text)
