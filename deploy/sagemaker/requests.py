"""The requests that a deployment consists of. Pure.

Names of models and endpoint configurations contain a hash of their content, because SageMaker can
change neither. The same file therefore always leads to the same names, and a repeated command
finds what it made before.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from deploy.sagemaker.config import DEFAULT_AMI, Deployment, Strategy

DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
OWNER_TAG: Final = "callscribe:deployment"
# The endpoint configurations that `rollback` may restore, separated by a space: the first of them
# that is not live. Names have at most 63 characters, a tag's value 256.
PREVIOUS_TAG: Final = "callscribe:previous"
_METRIC: Final = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
# Errors of AWS/SageMaker that are counted for bidirectional streams.
_ERRORS: Final = {
    "server-errors": "Invocation5XXErrors",
    "model-errors": "InvocationModelErrors",
    "mid-stream-errors": "MidStreamErrors",
}

type Params = dict[str, Any]


def model(deployment: Deployment) -> Params:
    """Return the parameters of CreateModel."""
    source = deployment.model
    container: Params = {"Image": source.image, "Environment": dict(source.environment)}
    if source.data:
        container["ModelDataSource"] = {
            "S3DataSource": {
                "S3Uri": source.data,
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        }
    params: Params = {"PrimaryContainer": container, "ExecutionRoleArn": source.role}
    if deployment.vpc:
        params["VpcConfig"] = {
            "SecurityGroupIds": list(deployment.vpc.security_groups),
            "Subnets": list(deployment.vpc.subnets),
        }
    return {"ModelName": _named(deployment, params), **params, "Tags": tags(deployment)}


def config(deployment: Deployment, *, twin: bool = False) -> Params:
    """Return the parameters of CreateEndpointConfig.

    Args:
        deployment: the deployment.
        twin: whether to return an equivalent with another name: SageMaker requires a new endpoint
            configuration for each update. The weight of a single variant has no effect.
    """
    fleet = deployment.instances
    variant: Params = {
        "VariantName": deployment.variant,
        "ModelName": model(deployment)["ModelName"],
        "InitialInstanceCount": fleet.count,
        "InitialVariantWeight": 2.0 if twin else 1.0,
        **_types(deployment),
        "ModelDataDownloadTimeoutInSeconds": fleet.download_timeout_s,
        "ContainerStartupHealthCheckTimeoutInSeconds": fleet.startup_timeout_s,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    if fleet.ami != DEFAULT_AMI:
        variant["InferenceAmiVersion"] = fleet.ami
    params: Params = {"ProductionVariants": [variant]}
    if fleet.kms_key:
        params["KmsKeyId"] = fleet.kms_key
    return {"EndpointConfigName": _named(deployment, params), **params, "Tags": tags(deployment)}


def config_names(deployment: Deployment, counts: Iterable[int]) -> frozenset[str]:
    """Return the names of the endpoint configurations that differ in the instances only."""
    return frozenset(
        config(deployment.with_count(count), twin=twin)["EndpointConfigName"]
        for count in counts
        for twin in (False, True)
    )


def endpoint(deployment: Deployment) -> Params:
    """Return the parameters of CreateEndpoint."""
    return {
        "EndpointName": deployment.name,
        "EndpointConfigName": config(deployment)["EndpointConfigName"],
        "Tags": tags(deployment),
    }


def update(deployment: Deployment, config_name: str, *, keep_count: bool) -> Params:
    """Return the parameters of UpdateEndpoint.

    Args:
        deployment: the deployment.
        config_name: the endpoint configuration to deploy.
        keep_count: whether to keep the number of instances that autoscaling has reached.
    """
    return {
        "EndpointName": deployment.name,
        "EndpointConfigName": config_name,
        "RetainAllVariantProperties": keep_count,
        "DeploymentConfig": {
            **_policy(deployment),
            "AutoRollbackConfiguration": {
                "Alarms": [{"AlarmName": name} for name in alarms(deployment)]
            },
        },
    }


def target(deployment: Deployment) -> Params | None:
    """Return the parameters of RegisterScalableTarget, or None without autoscaling."""
    scaling = deployment.scaling
    if scaling is None:
        return None
    return {**scalable(deployment), "MinCapacity": scaling.min, "MaxCapacity": scaling.max}


def policy(deployment: Deployment) -> Params | None:
    """Return the parameters of PutScalingPolicy, or None without autoscaling."""
    scaling = deployment.scaling
    if scaling is None:
        return None
    return {
        "PolicyName": f"{deployment.name}-sessions",
        **scalable(deployment),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": deployment.instances.sessions * scaling.target_percent / 100,
            "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            "ScaleOutCooldown": scaling.out_cooldown_s,
            "ScaleInCooldown": scaling.in_cooldown_s,
            "DisableScaleIn": not scaling.scale_in,
        },
    }


def scalable(deployment: Deployment) -> Params:
    """Return the parameters that name the scalable target."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{deployment.name}/variant/{deployment.variant}",
        "ScalableDimension": DIMENSION,
    }


def rollback_alarm(deployment: Deployment) -> str:
    """Return the name of the alarm that `rollback` and the watch set.

    Its metric has no data, and missing data keeps its state: it changes by SetAlarmState only.
    """
    return f"{deployment.name}-rollback"


def alarms(deployment: Deployment) -> dict[str, Params]:
    """Return the parameters of PutMetricAlarm by alarm name."""
    errors = {
        f"{deployment.name}-{suffix}": _error_alarm(deployment, f"{deployment.name}-{suffix}", name)
        for suffix, name in _ERRORS.items()
    }
    return {**errors, rollback_alarm(deployment): _command_alarm(deployment)}


def tags(deployment: Deployment) -> list[dict[str, str]]:
    """Return the tags of all resources."""
    pairs = {**deployment.tags, OWNER_TAG: deployment.name}
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def _named(deployment: Deployment, params: Mapping[str, Any]) -> str:
    text = json.dumps(params, sort_keys=True)
    return f"{deployment.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _types(deployment: Deployment) -> Params:
    fleet = deployment.instances
    if len(fleet.types) == 1:
        return {"InstanceType": fleet.types[0]}
    return {
        "InstancePools": [
            {"InstanceType": each, "Priority": at} for at, each in enumerate(fleet.types, 1)
        ],
        "VariantInstanceProvisionTimeoutInSeconds": fleet.provision_timeout_s,
    }


def _policy(deployment: Deployment) -> Params:
    update = deployment.update
    limit = {"MaximumExecutionTimeoutInSeconds": deployment.deployment_timeout_s}
    step = {"Type": "CAPACITY_PERCENT", "Value": update.step_percent}
    if update.strategy is Strategy.ROLLING:
        return {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": step,
                "WaitIntervalInSeconds": update.bake_s,
                **limit,
            }
        }
    routing: Params = {"Type": "CANARY", "CanarySize": step}
    if deployment.instances.count == 1:  # a canary is at most half of the fleet
        routing = {"Type": "ALL_AT_ONCE"}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {**routing, "WaitIntervalInSeconds": update.bake_s},
            "TerminationWaitInSeconds": update.drain_s,
            **limit,
        }
    }


def _error_alarm(deployment: Deployment, name: str, metric: str) -> Params:
    return {
        "AlarmName": name,
        "AlarmDescription": f"{metric} of endpoint {deployment.name}",
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [
            {"Name": "EndpointName", "Value": deployment.name},
            {"Name": "VariantName", "Value": deployment.variant},
        ],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": deployment.alarms.minutes,
        "DatapointsToAlarm": deployment.alarms.minutes,
        "Threshold": float(deployment.alarms.errors_per_minute),
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [deployment.alarms.topic] if deployment.alarms.topic else [],
    }


def _command_alarm(deployment: Deployment) -> Params:
    return {
        "AlarmName": rollback_alarm(deployment),
        "AlarmDescription": f"Set to ALARM, it rolls an update of {deployment.name} back",
        "Namespace": "Callscribe",
        "MetricName": "Rollback",
        "Dimensions": [{"Name": "EndpointName", "Value": deployment.name}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": 0.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
        "AlarmActions": [],
    }


# The parameters of PutMetricAlarm that the alarms have, which DescribeAlarms reports, too.
ALARM_FIELDS: Final = (
    "AlarmName",
    "AlarmDescription",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "Period",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "AlarmActions",
)
