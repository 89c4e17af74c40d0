"""The deployment file: everything about one SageMaker endpoint, from TOML. Pure.

docs/deploy-sagemaker.md is its reference.
"""

import tomllib
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common import wording
from common.settings import SettingsError, Url, matching

DEFAULT_AMI: Final = "default"
MAX_INSTANCES: Final = 500
_MAX_DEPLOYMENT_S: Final = 28_800  # of UpdateEndpoint's MaximumExecutionTimeoutInSeconds
# Between the steps of a deployment SageMaker starts instances; 15 minutes each is an assumption.
_INSTANCE_START_S: Final = 900

type Seconds = Annotated[int, Field(ge=0, le=3600)]
type Timeout = Annotated[int, Field(ge=60, le=3600)]
type Percent = Annotated[int, Field(ge=5, le=50)]
type _Name = Annotated[
    str,
    matching(
        r"[A-Za-z0-9](-*[A-Za-z0-9]){0,47}",
        "must be 1 to 48 letters, digits and hyphens; names made of it are 11 characters longer",
    ),
]
type _Label = Annotated[
    str, matching(r"[A-Za-z0-9._-]{1,128}", "must be an endpoint's name in the gateways' metrics")
]
type _InstanceType = Annotated[
    str, matching(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "must be like ml.g6.4xlarge")
]
type _Image = Annotated[
    str,
    Field(max_length=255),
    matching(
        r"\S+(@sha256:[0-9a-f]{64}|:(?!latest$)[A-Za-z0-9_][A-Za-z0-9_.-]*)",
        "must end in a digest, or in a tag other than latest that is never moved",
    ),
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Model(_Table):
    """The container and its weights."""

    image: _Image
    role: str  # ARN of the role that SageMaker assumes: deploy/iam/endpoint.json
    data: Annotated[str, matching(r"s3://\S+/", "must be s3://bucket/prefix/")] | None = None
    environment: dict[str, str] = Field(default_factory=dict, repr=False)


class Instances(_Table):
    """The fleet behind the endpoint."""

    types: tuple[_InstanceType, ...] = Field(min_length=1, max_length=5)  # the preferred first
    count: int = Field(ge=1, le=MAX_INSTANCES)
    sessions: int = Field(ge=2, le=1000)  # per instance: its max_num_seqs
    ami: str  # InferenceAmiVersion, or "default"
    provision_timeout_s: int = Field(1800, ge=300, le=3600)  # over all types
    download_timeout_s: Timeout = 1800
    startup_timeout_s: Timeout = 1800
    kms_key: str | None = None


class Vpc(_Table):
    """Where the instances have network interfaces."""

    subnets: tuple[str, ...] = Field(min_length=1, max_length=16)
    security_groups: tuple[str, ...] = Field(min_length=1, max_length=5)


class Scaling(_Table):
    """Autoscaling on concurrent requests per model."""

    min: int = Field(ge=1)
    max: int = Field(ge=1, le=MAX_INSTANCES)
    target_percent: int = Field(70, ge=10, le=100)  # of the sessions per instance
    scale_in: bool = False  # SageMaker ends the sessions on the instances that it removes
    out_cooldown_s: Seconds = 60
    in_cooldown_s: Seconds = 1800

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self


class Strategy(StrEnum):
    """How an update replaces instances."""

    BLUE_GREEN = "blue-green"  # a second fleet; the first is kept until its sessions have ended
    ROLLING = "rolling"  # a batch at a time; sessions on a replaced instance are cut off


class Update(_Table):
    """How `update` and a drained `scale` shift traffic."""

    strategy: Strategy = Strategy.BLUE_GREEN
    step_percent: Percent = 50  # of the fleet: the canary, or a batch
    bake_s: Seconds = 600  # how long alarms are watched after each step
    # How long the old fleet is kept without new sessions. Gateways replace each session after
    # GATEWAY_ROLLOVER_HARD_S, 1500 s, at the latest.
    drain_s: Seconds = 1800


class Alarms(_Table):
    """CloudWatch alarms on the endpoint's errors."""

    errors_per_minute: int = Field(5, ge=1)
    minutes: int = Field(3, ge=1, le=60)
    topic: str | None = None  # ARN of an SNS topic


class Watch(_Table):
    """What the gateways measure, read from Prometheus."""

    prometheus: Url
    # The endpoint's name in the gateways' metrics, if it is not `name`: their routes file has names
    # of its own, and GATEWAY_SAGEMAKER_VARIANT is part of it.
    endpoint: _Label | None = None
    first_delta_s: float = Field(10.0, gt=0)  # 95th percentile
    lag_s: float = Field(5.0, gt=0)  # 95th percentile
    failure_ratio: float = Field(0.1, gt=0, le=1)  # failed sessions per opened one


class Deployment(_Table):
    """One endpoint and what belongs to it."""

    name: _Name
    region: Annotated[str, matching(r"[a-z]{2}(-[a-z]+)+-\d", "must be like eu-central-1")]
    variant: _Name = "main"
    model: Model
    instances: Instances
    vpc: Vpc | None = None
    scaling: Scaling | None = None
    update: Update = Update()
    alarms: Alarms = Alarms()
    watch: Watch | None = None
    prices: dict[_InstanceType, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict, max_length=40)

    def with_count(self, count: int) -> Self:
        """Return the same deployment with another number of instances."""
        instances = self.instances.model_copy(update={"count": count})
        return self.model_copy(update={"instances": instances})

    @property
    def start_timeout_s(self) -> int:
        """Longest time until an instance serves, by the timeouts that SageMaker is given."""
        each = self.instances
        return each.provision_timeout_s + each.download_timeout_s + each.startup_timeout_s

    @property
    def deployment_timeout_s(self) -> int:
        """MaximumExecutionTimeoutInSeconds of an update: its waits, and the start of two steps."""
        waits = 2 * self.update.bake_s + self.update.drain_s
        return min(_MAX_DEPLOYMENT_S, waits + 2 * (self.start_timeout_s + _INSTANCE_START_S))

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        served = self.model.environment.get("SM_VLLM_MAX_NUM_SEQS")
        if served is not None and served != str(self.instances.sessions):
            raise ValueError(
                "instances.sessions must equal model.environment.SM_VLLM_MAX_NUM_SEQS: "
                "sessions above it get no reply"
            )
        if self.scaling and not self.scaling.min <= self.instances.count <= self.scaling.max:
            raise ValueError("instances.count must be between scaling.min and scaling.max")
        if self.update.strategy is Strategy.ROLLING and self.instances.count == 1:
            raise ValueError("update.strategy rolling needs two instances: a batch is half of them")
        if len(set(self.instances.types)) < len(self.instances.types):
            raise ValueError("instances.types names a type twice")
        return self


def parse(text: str, where: str) -> Deployment:
    """Parse a deployment file.

    Args:
        text: the file's content.
        where: its name, for the message.

    Raises:
        SettingsError: one line that names what is wrong. It quotes no values.
    """
    try:
        return Deployment.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{where}: {'; '.join(_sentences(error))}") from None


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        path = ".".join(str(step) for step in problem["loc"])
        text = wording.sentence(problem, None)
        yield f"{path}: {text}" if path else text
