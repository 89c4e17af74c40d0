"""What the commands show of plans and of the state. Pure."""

from collections.abc import Sequence

from deploy.sagemaker import cost, waits
from deploy.sagemaker.config import Deployment
from deploy.sagemaker.state import State
from deploy.sagemaker.steps import Step


def plan_lines(deployment: Deployment, state: State, steps: Sequence[Step]) -> list[str]:
    """Return the lines that show a plan and its cost."""
    return [
        f"plan for {deployment.name} in {deployment.region}:",
        *(f"  {number}. {step.does}" for number, step in enumerate(steps, 1)),
        *(() if steps else ("  nothing to do",)),
        f"cost per hour now: {cost.now(deployment, state)}",
        *cost.planned(deployment),
    ]


def status_lines(deployment: Deployment, state: State) -> list[str]:
    """Return the lines that show what exists."""
    live, target = state.endpoint, state.target
    lines = [f"endpoint {deployment.name}: {waits.progress(live)}"]
    if live:
        deploying = f", deploying {live.pending}" if live.pending else ""
        lines.append(f"configuration: {live.config}{deploying}")
    if live and live.reason:
        lines.append(f"reason: {live.reason}")
    scaling = f"{target['MinCapacity']} to {target['MaxCapacity']}" if target else "none"
    return [
        *lines,
        f"autoscaling: {scaling}",
        f"alarms: {len(state.alarms)}, active: {', '.join(sorted(state.alarming)) or 'none'}",
        f"models: {len(state.models)}, endpoint configurations: {len(state.configs)}",
        f"cost per hour now: {cost.now(deployment, state)}",
    ]
