"""What a deployment costs per hour, by the prices in its file. Pure.

AWS publishes prices per region and changes them, so none is built in.
"""

from collections.abc import Sequence
from typing import Final

from deploy.sagemaker.config import Deployment, Strategy
from deploy.sagemaker.state import State

_SOURCE: Final = "https://aws.amazon.com/sagemaker/ai/pricing/"


def lines(deployment: Deployment, state: State) -> list[str]:
    """Return lines on the cost per hour: now, with the file's instances, at most, in an update."""
    fleet, scaling, live = deployment.instances, deployment.scaling, state.endpoint
    now = _text(deployment, live.types, live.count) if live else "0.00 (no endpoint)"
    found = [
        f"cost per hour now: {now}",
        f"with the file: {_text(deployment, fleet.types, fleet.count)}",
    ]
    if scaling:
        found.append(f"autoscaled to the maximum: {_text(deployment, fleet.types, scaling.max)}")
    if deployment.update.strategy is Strategy.BLUE_GREEN:
        found.append("during an update: both fleets")
    return found


def _text(deployment: Deployment, types: Sequence[str], count: int) -> str:
    fleet = f"{count} x {' or '.join(types)}"
    if unknown := sorted(set(types) - deployment.prices.keys()):
        return f"{fleet}: not known; set prices of {', '.join(unknown)} in the file ({_SOURCE})"
    each = sorted(deployment.prices[name] * count for name in types)
    if each[0] == each[-1]:
        return f"{each[0]:.2f} ({fleet})"
    return f"{each[0]:.2f} to {each[-1]:.2f} ({fleet})"
