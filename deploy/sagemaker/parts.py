"""The steps that plans are made of: create, change and delete one kind of resource. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from deploy.sagemaker import requests
from deploy.sagemaker.config import Deployment
from deploy.sagemaker.state import Endpoint, State
from deploy.sagemaker.steps import Call, Service, Step, Until, Wait

# Above the timeouts that SageMaker is given: for its own work before and after them.
_MARGIN_S: Final = 1800
_DELETE_TIMEOUT_S: Final = 1800


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


def _in_service(deployment: Deployment, config: str, count: int | None = None) -> Wait:
    limit_s = deployment.start_timeout_s + _MARGIN_S
    return Wait(Until.IN_SERVICE, deployment.name, limit_s, config, count)


def _deployed(deployment: Deployment, config: str) -> Wait:
    limit_s = deployment.deployment_timeout_s + _MARGIN_S
    return Wait(Until.IN_SERVICE, deployment.name, limit_s, config)


def create_content(deployment: Deployment, state: State, *, twin: bool = False) -> list[Step]:
    """Return the steps that create the model and the endpoint configuration, where missing."""
    model, config = requests.model(deployment), requests.config(deployment, twin=twin)
    fleet = deployment.instances
    steps = []
    if model["ModelName"] not in state.models:
        steps.append(
            Step(
                f"create model {model['ModelName']} from {deployment.model.image}",
                _sagemaker("create_model", **model),
                undo=(_delete_model(model["ModelName"]),),
                may_exist=True,
            )
        )
    if config["EndpointConfigName"] not in state.configs:
        steps.append(
            Step(
                f"create endpoint configuration {config['EndpointConfigName']}: "
                f"{fleet.count} x {' or '.join(fleet.types)}, {fleet.sessions} sessions each",
                _sagemaker("create_endpoint_config", **config),
                undo=(_delete_config(config["EndpointConfigName"]),),
                may_exist=True,
            )
        )
    return steps


def await_creation(deployment: Deployment, config: str) -> Step:
    """Return the step that waits for an endpoint that an earlier run began to create."""
    return Step("wait for the endpoint", None, wait=_in_service(deployment, config))


def create_endpoint(deployment: Deployment) -> Step:
    """Return the step that creates the endpoint."""
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


def deploy(deployment: Deployment, config: str, *, keep_count: bool) -> Step:
    """Return the step that deploys an endpoint configuration to the existing endpoint."""
    params = requests.update(deployment, config, keep_count=keep_count)
    return Step(
        f"update endpoint {deployment.name} to {config} and wait until old instances drained",
        _sagemaker("update_endpoint", **params),
        wait=_deployed(deployment, config),
        watched=True,
        commits=True,
    )


def await_deployment(deployment: Deployment, config: str) -> Step:
    """Return the step that waits for an update that an earlier run began."""
    return Step(
        f"wait for the update of endpoint {deployment.name} to {config}",
        None,
        undo=tuple(register(deployment, State())),
        wait=_deployed(deployment, config),
        watched=True,
        commits=True,
    )


def previous(live: Endpoint, state: State) -> str | None:
    """Return the endpoint configuration that `rollback` restores."""
    noted = live.tags.get(requests.PREVIOUS_TAG, "").split()
    return next((name for name in noted if name != live.config and name in state.configs), None)


def note_live(live: Endpoint, state: State) -> Step:
    """Return the step that tags the endpoint with what is live, before it is replaced.

    What was live before stays in the tag: if the command is interrupted before the deployment, it
    is still what `rollback` restores.
    """
    before = previous(live, state)
    return _note(live, [live.config, before] if before else [live.config])


def unnote_live(live: Endpoint, state: State) -> list[Step]:
    """Return the step that removes what is live from the tag of `rollback`, where it is in it."""
    if live.config not in live.tags.get(requests.PREVIOUS_TAG, "").split():
        return []
    before = previous(live, state)
    return [_note(live, [before] if before else [])]


def _note(live: Endpoint, configs: list[str]) -> Step:
    before = live.tags.get(requests.PREVIOUS_TAG, "")
    return Step(
        f"tag the endpoint: rollback restores {configs[0] if configs else 'nothing'}",
        _tag_previous(live, " ".join(configs)),
        undo=(Step("restore the tag", _tag_previous(live, before)),),
    )


def _tag_previous(live: Endpoint, value: str) -> Call:
    if not value:
        return _sagemaker("delete_tags", ResourceArn=live.arn, TagKeys=[requests.PREVIOUS_TAG])
    tag = {"Key": requests.PREVIOUS_TAG, "Value": value}
    return _sagemaker("add_tags", ResourceArn=live.arn, Tags=[tag])


def set_tags(deployment: Deployment, live: Endpoint) -> list[Step]:
    """Return the step that sets the endpoint's tags, where they differ."""
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


def reset(deployment: Deployment) -> Step:
    """Return the step that prepares the alarm of `rollback` for an update."""
    return Step(
        f"set alarm {requests.rollback_alarm(deployment)} to OK",
        _set_rollback(deployment, "OK", "an update begins"),
    )


def abort(deployment: Deployment, live: Endpoint) -> Step:
    """Return the step that stops a running update."""
    return Step(
        f"stop the update of endpoint {deployment.name} and wait until it is rolled back",
        order_rollback(deployment, "rollback command"),
        wait=_deployed(deployment, live.config),
    )


def add_instances(deployment: Deployment, live: Endpoint, count: int) -> Step:
    """Return the step that adds instances to the fleet."""
    return Step(
        f"scale endpoint {deployment.name} from {live.count} to {count} instances",
        _sagemaker(
            "update_endpoint_weights_and_capacities",
            EndpointName=deployment.name,
            DesiredWeightsAndCapacities=[
                {"VariantName": deployment.variant, "DesiredInstanceCount": count}
            ],
        ),
        wait=_in_service(deployment, live.config, count),
        commits=True,
    )


def register(deployment: Deployment, state: State) -> list[Step]:
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


def unregister_unwanted(deployment: Deployment, state: State) -> list[Step]:
    """Return the step that removes autoscaling if the file has none."""
    return [] if deployment.scaling else unregister(deployment, state)


def unregister(deployment: Deployment, state: State) -> list[Step]:
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


def put_alarms(deployment: Deployment, state: State) -> list[Step]:
    """Return the steps that set alarms, where they differ from what exists."""
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


def delete_alarms(state: State) -> list[Step]:
    """Return the steps that delete all alarms."""
    return [_delete_alarm(name) for name in sorted(state.alarms)]


def delete_endpoint(state: State) -> list[Step]:
    """Return the step that deletes the endpoint, or waits for its deletion."""
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


def delete_content(deployment: Deployment, state: State, keep: set[str]) -> list[Step]:
    """Return the steps that delete endpoint configurations and models that no one needs."""
    models = {state.configs[name] for name in keep & state.configs.keys()}
    if keep:
        models.add(requests.model(deployment)["ModelName"])
    return [
        *(_delete_config(name) for name in sorted(state.configs.keys() - keep)),
        *(_delete_model(name) for name in sorted(state.models - models)),
    ]
