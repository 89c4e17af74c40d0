"""Steps of a plan: calls to AWS, how to undo them and what to wait for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Service(StrEnum):
    """The AWS services of a deployment, by boto3's names."""

    SAGEMAKER = "sagemaker"
    AUTOSCALING = "application-autoscaling"
    CLOUDWATCH = "cloudwatch"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to AWS."""

    service: Service
    operation: str  # as a method of boto3's client: create_model
    params: Mapping[str, Any]


class Until(StrEnum):
    """A state of the endpoint that ends a wait."""

    IN_SERVICE = "in service"
    GONE = "gone"
    SETTLED = "settled"  # gone, or in any state in which SageMaker accepts a deletion


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for the endpoint."""

    until: Until
    endpoint: str
    timeout_s: int
    config: str | None = None  # the endpoint configuration that must be live at the end
    count: int | None = None  # the instances that must run at the end


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Attributes:
        does: what the step does, for people.
        call: the request; None if the step only waits.
        undo: the steps that reverse it, in order.
        wait: what must have happened before the next step.
        watched: whether the gateways' metrics decide about a rollback during the wait.
        commits: after this step, the plan is no longer undone: it can only be completed.
        may_exist: whether "exists already" is a success. Names of models and endpoint
            configurations contain a hash of their content.
        may_miss: whether "does not exist" is a success.
    """

    does: str
    call: Call | None
    undo: tuple["Step", ...] = ()
    wait: Wait | None = None
    watched: bool = False
    commits: bool = False
    may_exist: bool = False
    may_miss: bool = False
