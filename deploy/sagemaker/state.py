"""What exists in AWS of one deployment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

STABLE: Final = frozenset({"InService", "Failed", "OutOfService", "UpdateRollbackFailed"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint, as DescribeEndpoint and ListTags report it."""

    arn: str
    status: str
    config: str
    count: int  # instances, of the variant
    desired: int
    running: Mapping[str, int]  # instances by type
    pending: str | None = None  # the endpoint configuration that an update deploys
    reason: str = ""  # FailureReason
    messages: tuple[str, ...] = ()  # what SageMaker reports about the variants
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_stable(self) -> bool:
        """Whether SageMaker accepts an update or a deletion."""
        return self.status in STABLE


@dataclass(frozen=True, slots=True)
class State:
    """All that exists of a deployment.

    The mappings hold the parameters of the requests that would create what exists.
    """

    endpoint: Endpoint | None = None
    models: frozenset[str] = frozenset()
    configs: Mapping[str, str] = field(default_factory=dict)  # name -> its model
    target: Mapping[str, Any] | None = None  # of RegisterScalableTarget
    policies: Sequence[Mapping[str, Any]] = ()  # of PutScalingPolicy
    alarms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of PutMetricAlarm
    alarming: frozenset[str] = frozenset()  # names of the alarms in the state ALARM

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self == State()
