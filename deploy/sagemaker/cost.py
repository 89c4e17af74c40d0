"""What a deployment costs per hour, by the prices in its file. Pure.

AWS publishes prices per region and changes them, so none is built in.
"""

from collections.abc import Iterable
from typing import Final

from deploy.sagemaker.config import Deployment, Strategy
from deploy.sagemaker.state import State

_SOURCE: Final = "https://aws.amazon.com/sagemaker/ai/pricing/"


def now(deployment: Deployment, state: State) -> str:
    """Return the cost per hour of the instances that run."""
    running = state.endpoint.running if state.endpoint else {}
    if not running:
        return "0.00 (no instances)"
    fleet = " + ".join(f"{count} x {name}" for name, count in running.items())
    if missing := _missing(deployment, running):
        return f"{fleet}: {missing}"
    each = (deployment.prices[name] * count for name, count in running.items())
    return f"{sum(each):.2f} ({fleet})"


def planned(deployment: Deployment) -> list[str]:
    """Return lines on the cost per hour of the file's instances, at most, and in an update."""
    scaling = deployment.scaling
    found = [f"cost per hour with the file: {_of(deployment, deployment.instances.count)}"]
    if scaling:
        found.append(f"autoscaled to the maximum: {_of(deployment, scaling.max)}")
    if deployment.update.strategy is Strategy.BLUE_GREEN:
        found.append("during an update: both fleets")
    return found


def _of(deployment: Deployment, count: int) -> str:
    types = deployment.instances.types
    fleet = f"{count} x {' or '.join(types)}"
    if missing := _missing(deployment, types):
        return f"{fleet}: {missing}"
    each = sorted(deployment.prices[name] * count for name in types)
    if each[0] == each[-1]:
        return f"{each[0]:.2f} ({fleet})"
    return f"{each[0]:.2f} to {each[-1]:.2f} ({fleet})"


def _missing(deployment: Deployment, types: Iterable[str]) -> str:
    names = sorted(set(types) - deployment.prices.keys())
    return f"not known; set prices of {', '.join(names)} in the file ({_SOURCE})" if names else ""
