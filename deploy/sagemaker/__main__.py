"""The command `python -m deploy.sagemaker`."""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from common.settings import SettingsError
from deploy.sagemaker import first_call, image, plan, report
from deploy.sagemaker.aws import Aws
from deploy.sagemaker.config import Deployment, parse
from deploy.sagemaker.errors import DeployError, Kind
from deploy.sagemaker.execute import Clock, Executor
from deploy.sagemaker.state import State
from deploy.sagemaker.steps import Step
from deploy.sagemaker.watch import Watch, prometheus

_PLANS: Final = {
    "create": plan.create,
    "update": plan.update,
    "hibernate": plan.hibernate,
    "wake": plan.wake,
    "rollback": plan.rollback,
    "delete": plan.delete,
}
_MAX_HOURS: Final = 168  # a week
_COMMANDS: Final = {
    "image": "build the model's image and push it to ECR",
    "plan": "show what create or update would do",
    "create": "create what is missing",
    "update": "deploy what the file describes",
    "status": "show what exists and what it costs",
    "scale": "set the number of instances",
    "hibernate": "delete what bills; keep the model and the configuration",
    "wake": "create the endpoint of a hibernated deployment",
    "rollback": "stop a running update, or deploy the previous configuration",
    "delete": "delete everything",
}


class MonotonicClock:
    """The process's monotonic clock."""

    def now(self) -> float:
        """Return seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for some time."""
        time.sleep(seconds)


def main() -> None:
    """Run the command of the command line; exit with 1 if it fails."""
    sys.exit(run(sys.argv[1:], MonotonicClock()))


def run(arguments: Sequence[str], clock: Clock) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        deployment = parse(options.file.read_text(encoding="utf-8"), str(options.file))
        _command(options, deployment, clock)
    except (OSError, UnicodeDecodeError) as error:
        return _fail(f"{options.file} can't be read: {type(error).__name__}")
    except (SettingsError, DeployError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted: AWS continues what was begun; status shows it")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.sagemaker",
        description="Deploys a model to a SageMaker endpoint.",
        epilog="docs/deploy-sagemaker.md explains the commands and the file.",
    )
    parser.add_argument("--file", type=Path, default=Path("sagemaker.toml"), help="%(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "scale":
            command.add_argument("count", type=int, help="number of instances")
        if name == "wake":
            text = "wait up to this many hours for a call, then wake"
            command.add_argument("--first-call", type=_hours, metavar="HOURS", help=text)
        if name not in ("plan", "status"):
            command.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _command(options: argparse.Namespace, deployment: Deployment, clock: Clock) -> None:
    if options.command == "image":
        _say_all(image.commands(deployment))
        if options.yes or _confirmed():
            image.run(deployment)
        return
    aws = Aws(deployment.region)
    state = aws.state(deployment)
    match options.command:
        case "status":
            _say_all(report.status_lines(deployment, state))
            return
        case "plan":
            steps = (plan.update if state.endpoint else plan.create)(deployment, state)
        case "scale":
            if options.count < 1:
                raise DeployError(Kind.USAGE, "an endpoint has one instance at least; hibernate it")
            steps = plan.scale(deployment, state, options.count)
        case command:
            steps = _PLANS[command](deployment, state)
    _say_all(report.plan_lines(deployment, state, steps))
    if options.command == "plan" or not steps:
        _confirm_empty(options.command, state)
        return
    if not options.yes and not _confirmed():
        raise DeployError(Kind.USAGE, "not confirmed; nothing was changed")
    if options.command == "wake" and options.first_call and state.endpoint is None:
        steps = _at_first_call(aws, deployment, clock, options.first_call)
    _executor(aws, deployment, clock).run(steps)
    after = aws.state(deployment)
    _say_all(report.status_lines(deployment, after))
    _confirm_empty(options.command, after)


def _at_first_call(aws: Aws, deployment: Deployment, clock: Clock, hours: int) -> list[Step]:
    """Wait for a call; return the steps that wake the endpoint, as AWS is then."""
    _say(f"waiting for a call, for {hours} h at the longest")
    url = deployment.watch.prometheus if deployment.watch else ""
    if not first_call.wait(deployment, prometheus(url), clock, _say, hours * 3600):
        _say("no call came; nothing was changed")
        return []
    _say("a call came that gateways could not transcribe")
    return plan.wake(deployment, aws.state(deployment))


def _hours(text: str) -> int:
    hours = int(text)
    if not 1 <= hours <= _MAX_HOURS:
        raise argparse.ArgumentTypeError(f"must be between 1 and {_MAX_HOURS}")
    return hours


def _executor(aws: Aws, deployment: Deployment, clock: Clock) -> Executor:
    url = deployment.watch.prometheus if deployment.watch else ""
    watch = Watch(deployment, prometheus(url), aws.call, _say)
    return Executor(aws, clock, _say, watch.poll)


def _confirm_empty(command: str, state: State) -> None:
    """Show that nothing is left after `delete`."""
    if command != "delete":
        return
    if not state.is_empty:
        raise DeployError(Kind.FAILED, "something is left; run delete again")
    _say("nothing is left that bills, except the log group of the endpoint")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    _say("carry it out? [y/N]")
    return sys.stdin.readline().strip().lower() == "y"


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(line: str) -> int:
    sys.stderr.write(f"deploy.sagemaker: {line}\n")
    return 1


if __name__ == "__main__":
    main()
