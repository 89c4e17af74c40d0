"""Plans each command: a deployment and what exists in, steps out. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from deploy.sagemaker import requests
from deploy.sagemaker.config import Deployment, Strategy
from deploy.sagemaker.errors import DeployError, Kind
from deploy.sagemaker.state import Config, Endpoint, State
from deploy.sagemaker.steps import Call, Service, Step, Until, Wait

# Above the timeouts that SageMaker is given: for its own work before and after them.
_MARGIN_S: Final = 1800
_DELETE_TIMEOUT_S: Final = 1800


def create(deployment: Deployment, state: State) -> list[Step]:
    """Plan `create` and `wake`: everything that is missing. An existing endpoint is not changed."""
    wanted = requests.config(deployment)["EndpointConfigName"]
    live = state.endpoint
    if live and live.status not in ("Creating", "InService"):
        raise DeployError(
            Kind.USAGE, f"endpoint {live_text(live)}; delete it, then run create again"
        )
    if live and live.config != wanted:
        raise DeployError(
            Kind.USAGE, f"endpoint {deployment.name} exists with other content; run update"
        )
    steps = [*_alarms(deployment, state), *_content(deployment, state)]
    if live is None:
        steps.append(_create_endpoint(deployment))
    elif live.status == "Creating":
        steps.append(Step("wait for the endpoint", None, wait=_in_service(deployment, wanted)))
    return [*steps, *_register(deployment, state)]


def update(deployment: Deployment, state: State) -> list[Step]:
    """Plan `update`: deploy what the file says, and drain the old instances."""
    live = _settled(deployment, state)
    wanted = requests.config(deployment)["EndpointConfigName"]
    alarms, tags = _alarms(deployment, state), _tag(deployment, live)
    if live.config == wanted:
        return [
            *alarms,
            *tags,
            *_unregister_unwanted(deployment, state),
            *_register(deployment, state),
        ]
    return [
        *alarms,
        *tags,
        *_content(deployment, state),
        *_deploy(deployment, state, live, wanted),
        *_forget(deployment, state, keep={wanted, live.config}),
    ]


def scale(deployment: Deployment, state: State, count: int) -> list[Step]:
    """Plan `scale`: more instances at once, or fewer by a second fleet, so that calls drain."""
    live = _settled(deployment, state)
    scaling = deployment.scaling
    if scaling and not scaling.min <= count <= scaling.max:
        raise DeployError(
            Kind.USAGE, f"scaling.min is {scaling.min} and scaling.max is {scaling.max}"
        )
    if count == live.count == live.desired:
        return []
    if count >= live.count:
        return [_add_instances(deployment, live, count)]
    if not _is_live(deployment, state, live):
        raise DeployError(Kind.USAGE, "the file differs from what is live; run update first")
    smaller = deployment.model_copy(
        update={
            "instances": deployment.instances.model_copy(update={"count": count}),
            "update": deployment.update.model_copy(update={"strategy": Strategy.BLUE_GREEN}),
        }
    )
    wanted = requests.config(smaller)["EndpointConfigName"]
    if live.config == wanted:  # deployed with fewer instances, and scaled out since
        return _deploy(smaller, state, live, wanted, keep_count=False)
    return [
        *_alarms(smaller, state),
        *_content(smaller, state),
        *_deploy(smaller, state, live, wanted, keep_count=False),
    ]


def rollback(deployment: Deployment, state: State) -> list[Step]:
    """Plan `rollback`: stop a running update, or deploy the previous endpoint configuration."""
    live = _existing(deployment, state)
    if live.status == "Updating" and live.pending:
        return [_abort(deployment, live)]
    live = _settled(deployment, state)
    previous = live.tags.get(requests.PREVIOUS_TAG)
    if previous is None or previous == live.config or previous not in state.configs:
        raise DeployError(Kind.USAGE, f"no previous configuration of {deployment.name} exists")
    return [*_alarms(deployment, state), *_deploy(deployment, state, live, previous)]


def hibernate(deployment: Deployment, state: State) -> list[Step]:
    """Plan `hibernate`: delete what bills, and keep the model and the configuration."""
    if state.endpoint is None and state.target is None and not state.alarms:
        return []
    _removable(state)
    return [*_unregister(deployment, state), *_delete_endpoint(state), *_delete_alarms(state)]


def wake(deployment: Deployment, state: State) -> list[Step]:
    """Plan `wake`: create the endpoint of a hibernated deployment."""
    if not state.configs:
        raise DeployError(Kind.USAGE, f"{deployment.name} is not hibernated; run create")
    return create(deployment, state)


def delete(deployment: Deployment, state: State) -> list[Step]:
    """Plan `delete`: delete everything of the deployment."""
    _removable(state)
    return [
        *_unregister(deployment, state),
        *_delete_endpoint(state),
        *_delete_alarms(state),
        *_forget(deployment, state, keep=set()),
    ]


def live_text(live: Endpoint) -> str:
    """Return an endpoint's status in words."""
    return f"is {live.status}" + (f": {live.reason}" if live.reason else "")


def _existing(deployment: Deployment, state: State) -> Endpoint:
    if state.endpoint is None:
        raise DeployError(Kind.USAGE, f"endpoint {deployment.name} does not exist; run create")
    return state.endpoint


def _settled(deployment: Deployment, state: State) -> Endpoint:
    live = _existing(deployment, state)
    if not live.is_stable:
        raise DeployError(Kind.BUSY, f"endpoint {deployment.name} {live_text(live)}")
    if live.status != "InService":
        raise DeployError(
            Kind.USAGE, f"endpoint {deployment.name} {live_text(live)}; delete and create it"
        )
    return live


def _is_live(deployment: Deployment, state: State, live: Endpoint) -> bool:
    wanted = Config(requests.model(deployment)["ModelName"], deployment.instances.types)
    return state.configs.get(live.config) == wanted


def _removable(state: State) -> None:
    live = state.endpoint
    if live and not live.is_stable and live.status != "Deleting":
        raise DeployError(Kind.BUSY, f"the endpoint {live_text(live)}")


def _covers(existing: object, wanted: object) -> bool:
    """Return whether what exists has all that is wanted; AWS may add members of its own."""
    match existing, wanted:
        case Mapping(), Mapping():
            return all(key in existing and _covers(existing[key], wanted[key]) for key in wanted)
        case list(), list():
            return len(existing) == len(wanted) and all(map(_covers, existing, wanted))
        case _:
            return existing == wanted


def _sagemaker(operation: str, **params: object) -> Call:
    return Call(Service.SAGEMAKER, operation, params)


def _in_service(deployment: Deployment, config: str) -> Wait:
    limit_s = deployment.start_timeout_s + _MARGIN_S
    return Wait(Until.IN_SERVICE, deployment.name, limit_s, config)


def _content(deployment: Deployment, state: State) -> list[Step]:
    """Return the steps that create the model and the endpoint configuration, where missing."""
    model, config = requests.model(deployment), requests.config(deployment)
    steps = []
    if model["ModelName"] not in state.models:
        steps.append(
            Step(
                f"create model {model['ModelName']}",
                _sagemaker("create_model", **model),
                undo=(_delete_model(model["ModelName"]),),
                may_exist=True,
            )
        )
    if config["EndpointConfigName"] not in state.configs:
        steps.append(
            Step(
                f"create endpoint configuration {config['EndpointConfigName']}",
                _sagemaker("create_endpoint_config", **config),
                undo=(_delete_config(config["EndpointConfigName"]),),
                may_exist=True,
            )
        )
    return steps


def _create_endpoint(deployment: Deployment) -> Step:
    params = requests.endpoint(deployment)
    wait = _in_service(deployment, params["EndpointConfigName"])
    settled = Wait(Until.SETTLED, deployment.name, wait.timeout_s)
    return Step(
        f"create endpoint {deployment.name} and wait until it is in service",
        _sagemaker("create_endpoint", **params),
        undo=(
            Step("wait until the endpoint can be deleted", None, wait=settled),
            _remove_endpoint(deployment.name),
        ),
        wait=wait,
    )


def _deploy(
    deployment: Deployment,
    state: State,
    live: Endpoint,
    wanted: str,
    *,
    keep_count: bool | None = None,
) -> list[Step]:
    """Return the steps that deploy an endpoint configuration to the existing endpoint.

    SageMaker refuses to change the instance type of a variant with autoscaling, so autoscaling is
    removed before and registered again afterwards, as its documentation requires.
    """
    if blocking := sorted(state.alarming - {requests.rollback_alarm(deployment)}):
        raise DeployError(
            Kind.USAGE,
            f"alarms {', '.join(blocking)} are active: SageMaker would roll back at once",
        )
    keep = deployment.scaling is not None if keep_count is None else keep_count
    update = requests.update(deployment, wanted, keep_count=keep)
    return [
        *_unregister(deployment, state),
        _reset(deployment),
        _note_previous(live, live.config),
        Step(
            f"update endpoint {deployment.name} to {wanted} and wait until old instances drained",
            _sagemaker("update_endpoint", **update),
            wait=Wait(
                Until.IN_SERVICE,
                deployment.name,
                deployment.deployment_timeout_s + _MARGIN_S,
                wanted,
            ),
            watched=True,
            commits=True,
        ),
        *_register(deployment, State()),
    ]


def _note_previous(live: Endpoint, config: str) -> Step:
    before = live.tags.get(requests.PREVIOUS_TAG)
    return Step(
        f"tag the endpoint: {config} is the previous configuration",
        _tag_previous(live, config),
        undo=(Step("restore the tag", _tag_previous(live, before)),),
    )


def _tag_previous(live: Endpoint, config: str | None) -> Call:
    if config is None:
        return _sagemaker("delete_tags", ResourceArn=live.arn, TagKeys=[requests.PREVIOUS_TAG])
    tag = {"Key": requests.PREVIOUS_TAG, "Value": config}
    return _sagemaker("add_tags", ResourceArn=live.arn, Tags=[tag])


def _tag(deployment: Deployment, live: Endpoint) -> list[Step]:
    wanted = requests.tags(deployment)
    if all(live.tags.get(tag["Key"]) == tag["Value"] for tag in wanted):
        return []
    return [
        Step("set the endpoint's tags", _sagemaker("add_tags", ResourceArn=live.arn, Tags=wanted))
    ]


def _set_rollback(deployment: Deployment, value: str, reason: str) -> Call:
    return Call(
        Service.CLOUDWATCH,
        "set_alarm_state",
        {
            "AlarmName": requests.rollback_alarm(deployment),
            "StateValue": value,
            "StateReason": reason,
        },
    )


def order_rollback(deployment: Deployment, reason: str) -> Call:
    """Return the call by which SageMaker rolls a running update back."""
    return _set_rollback(deployment, "ALARM", reason)


def _reset(deployment: Deployment) -> Step:
    return Step(
        f"set alarm {requests.rollback_alarm(deployment)} to OK",
        _set_rollback(deployment, "OK", "an update begins"),
    )


def _abort(deployment: Deployment, live: Endpoint) -> Step:
    return Step(
        f"stop the update of endpoint {deployment.name} and wait until it is rolled back",
        order_rollback(deployment, "rollback command"),
        wait=Wait(
            Until.IN_SERVICE,
            deployment.name,
            deployment.deployment_timeout_s + _MARGIN_S,
            live.config,
        ),
    )


def _add_instances(deployment: Deployment, live: Endpoint, count: int) -> Step:
    return Step(
        f"scale endpoint {deployment.name} from {live.count} to {count} instances",
        _sagemaker(
            "update_endpoint_weights_and_capacities",
            EndpointName=deployment.name,
            DesiredWeightsAndCapacities=[
                {"VariantName": deployment.variant, "DesiredInstanceCount": count}
            ],
        ),
        wait=Wait(
            Until.IN_SERVICE,
            deployment.name,
            deployment.start_timeout_s + _MARGIN_S,
            live.config,
            count,
        ),
        commits=True,
    )


def _register(deployment: Deployment, state: State) -> list[Step]:
    """Return the steps that register autoscaling, where it differs from what exists."""
    target, policy = requests.target(deployment), requests.policy(deployment)
    if target is None or policy is None:
        return []
    steps = []
    if not _covers(state.target, target):
        undo = () if state.target else (_deregister(target),)
        steps.append(_autoscale("register autoscaling", "register_scalable_target", target, undo))
    if not _covers([*state.policies], [policy]):
        steps.append(_autoscale("set the scaling policy", "put_scaling_policy", policy, ()))
    return steps


def _unregister_unwanted(deployment: Deployment, state: State) -> list[Step]:
    return [] if deployment.scaling else _unregister(deployment, state)


def _unregister(deployment: Deployment, state: State) -> list[Step]:
    """Return the step that removes autoscaling with its policies; undone, they exist again."""
    if state.target is None:
        return []
    undo = (
        _autoscale("register autoscaling again", "register_scalable_target", state.target, ()),
        *(
            _autoscale("set the scaling policy again", "put_scaling_policy", each, ())
            for each in state.policies
        ),
    )
    return [_deregister(requests.scalable(deployment), undo)]


def _deregister(target: Mapping[str, Any], undo: tuple[Step, ...] = ()) -> Step:
    names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    params = {name: target[name] for name in names}
    call = Call(Service.AUTOSCALING, "deregister_scalable_target", params)
    return Step("remove autoscaling", call, undo=undo, may_miss=True)


def _autoscale(
    does: str, operation: str, params: Mapping[str, Any], undo: tuple[Step, ...]
) -> Step:
    return Step(does, Call(Service.AUTOSCALING, operation, params), undo=undo)


def _alarms(deployment: Deployment, state: State) -> list[Step]:
    steps = []
    for name, params in requests.alarms(deployment).items():
        existing = state.alarms.get(name)
        if _covers(existing, params):
            continue
        undo = _put_alarm(existing) if existing else _delete_alarm(name)
        steps.append(_put_alarm({**params, "Tags": requests.tags(deployment)}, (undo,)))
    return steps


def _put_alarm(params: Mapping[str, Any], undo: tuple[Step, ...] = ()) -> Step:
    call = Call(Service.CLOUDWATCH, "put_metric_alarm", params)
    return Step(f"set alarm {params['AlarmName']}", call, undo=undo)


def _delete_alarm(name: str) -> Step:
    call = Call(Service.CLOUDWATCH, "delete_alarms", {"AlarmNames": [name]})
    return Step(f"delete alarm {name}", call, may_miss=True)


def _delete_alarms(state: State) -> list[Step]:
    return [_delete_alarm(name) for name in sorted(state.alarms)]


def _delete_endpoint(state: State) -> list[Step]:
    live = state.endpoint
    if live is None:
        return []
    name = live.arn.rpartition("/")[2]
    if live.status == "Deleting":
        return [Step(f"wait until endpoint {name} is deleted", None, wait=_gone(name))]
    return [_remove_endpoint(name)]


def _gone(name: str) -> Wait:
    return Wait(Until.GONE, name, _DELETE_TIMEOUT_S)


def _remove_endpoint(name: str) -> Step:
    call = _sagemaker("delete_endpoint", EndpointName=name)
    return Step(f"delete endpoint {name}", call, wait=_gone(name), may_miss=True)


def _delete_model(name: str) -> Step:
    return Step(f"delete model {name}", _sagemaker("delete_model", ModelName=name), may_miss=True)


def _delete_config(name: str) -> Step:
    call = _sagemaker("delete_endpoint_config", EndpointConfigName=name)
    return Step(f"delete endpoint configuration {name}", call, may_miss=True)


def _forget(deployment: Deployment, state: State, keep: set[str]) -> list[Step]:
    """Return the steps that delete endpoint configurations and models that no one needs."""
    models = {state.configs[name].model for name in keep & state.configs.keys()}
    if keep:
        models.add(requests.model(deployment)["ModelName"])
    return [
        *(_delete_config(name) for name in sorted(state.configs.keys() - keep)),
        *(_delete_model(name) for name in sorted(state.models - models)),
    ]
