"""Plans each command: a deployment and what exists in, steps out. Pure."""

from deploy.sagemaker import parts, requests
from deploy.sagemaker.config import MAX_INSTANCES, Deployment, Strategy
from deploy.sagemaker.errors import DeployError, Kind
from deploy.sagemaker.state import Endpoint, State
from deploy.sagemaker.steps import Step


def create(deployment: Deployment, state: State) -> list[Step]:
    """Plan `create` and `wake`: everything that is missing. An existing endpoint is not changed."""
    live = state.endpoint
    if live and live.status not in ("Creating", "InService"):
        raise DeployError(
            Kind.USAGE, f"endpoint {live_text(live)}; delete it, then run create again"
        )
    if live and live.config not in _current(deployment):
        raise DeployError(
            Kind.USAGE, f"endpoint {deployment.name} exists with other content; run update"
        )
    steps = [*parts.put_alarms(deployment, state), *parts.create_content(deployment, state)]
    if live is None:
        steps.append(parts.create_endpoint(deployment))
    elif live.status == "Creating":
        steps.append(parts.await_creation(deployment, live.config))
    return [*steps, *parts.register(deployment, state)]


def update(deployment: Deployment, state: State) -> list[Step]:
    """Plan `update`: deploy what the file says, and drain the old instances."""
    wanted = requests.config(deployment)["EndpointConfigName"]
    live = _existing(deployment, state)
    if live.status == "Updating" and live.pending == wanted:
        return [
            parts.await_deployment(deployment, wanted),
            *parts.register(deployment, State()),
        ]
    live = _settled(deployment, state)
    alarms, tags = parts.put_alarms(deployment, state), parts.set_tags(deployment, live)
    if live.config in _current(deployment):
        return [
            *alarms,
            *tags,
            *parts.unregister_unwanted(deployment, state),
            *parts.register(deployment, state),
        ]
    return [
        *alarms,
        *tags,
        *parts.create_content(deployment, state),
        *_deploy(deployment, state, wanted, parts.note_live(live, state)),
        *parts.delete_content(deployment, state, keep={wanted, live.config}),
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
        return [parts.add_instances(deployment, live, count)]
    if live.config not in requests.config_names(deployment, range(1, MAX_INSTANCES + 1)):
        raise DeployError(Kind.USAGE, "the file differs from what is live; run update first")
    return _shrink(deployment.with_count(count), state, live)


def rollback(deployment: Deployment, state: State) -> list[Step]:
    """Plan `rollback`: stop a running update, or deploy the previous endpoint configuration."""
    live = _existing(deployment, state)
    if live.status == "Updating" and live.pending:
        return [parts.abort(deployment, live), *parts.register(deployment, state)]
    live = _settled(deployment, state)
    previous = parts.previous(live, state)
    if previous is None:
        raise DeployError(Kind.USAGE, f"no previous configuration of {deployment.name} exists")
    return [
        *parts.put_alarms(deployment, state),
        *_deploy(
            # All sessions move at once: the canary's size is not known to be valid for that fleet.
            deployment.with_count(1),
            state,
            previous,
            parts.note_live(live, state),
            keep_count=True,
        ),
    ]


def hibernate(deployment: Deployment, state: State) -> list[Step]:
    """Plan `hibernate`: delete what bills, and keep the model and the configuration."""
    if state.endpoint is None and state.target is None and not state.alarms:
        return []
    _removable(state)
    return [
        *parts.unregister(deployment, state),
        *parts.delete_endpoint(state),
        *parts.delete_alarms(state),
    ]


def wake(deployment: Deployment, state: State) -> list[Step]:
    """Plan `wake`: create the endpoint of a hibernated deployment."""
    if not state.configs:
        raise DeployError(Kind.USAGE, f"{deployment.name} is not hibernated; run create")
    return create(deployment, state)


def delete(deployment: Deployment, state: State) -> list[Step]:
    """Plan `delete`: delete everything of the deployment."""
    _removable(state)
    return [
        *parts.unregister(deployment, state),
        *parts.delete_endpoint(state),
        *parts.delete_alarms(state),
        *parts.delete_content(deployment, state, keep=set()),
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


def _current(deployment: Deployment) -> frozenset[str]:
    """Return the names of the endpoint configurations that are what the file describes."""
    scaling, count = deployment.scaling, deployment.instances.count
    counts = range(scaling.min, scaling.max + 1) if scaling else (count,)
    return requests.config_names(deployment, counts)


def _removable(state: State) -> None:
    live = state.endpoint
    if live and not live.is_stable and live.status != "Deleting":
        raise DeployError(Kind.BUSY, f"the endpoint {live_text(live)}")


def _shrink(smaller: Deployment, state: State, live: Endpoint) -> list[Step]:
    """Return the steps that replace the fleet by a smaller one and let the old one drain."""
    draining = smaller.update.model_copy(update={"strategy": Strategy.BLUE_GREEN})
    smaller = smaller.model_copy(update={"update": draining})
    twin = requests.config(smaller)["EndpointConfigName"] == live.config
    wanted = requests.config(smaller, twin=twin)["EndpointConfigName"]
    return [
        *parts.put_alarms(smaller, state),
        *parts.create_content(smaller, state, twin=twin),
        *_deploy(smaller, state, wanted, *parts.unnote_live(live, state), keep_count=False),
    ]


def _deploy(
    deployment: Deployment,
    state: State,
    wanted: str,
    *before: Step,
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
    return [
        *parts.unregister(deployment, state),
        parts.reset(deployment),
        *before,
        parts.deploy(deployment, wanted, keep_count=keep),
        *parts.register(deployment, State()),
    ]
