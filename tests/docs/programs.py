"""Stand-ins for programs that tests do not install: `helm`, `aws` and `docker`.

They check a command line as the program does, and then fail as it does without a cluster, an
account or an engine.

python -m tests.docs.programs PROGRAM ARGUMENTS
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import botocore.session
import yaml
from botocore import xform_name

_NO_CREDENTIALS: Final = "Unable to locate credentials."
_NO_CLUSTER: Final = "Error: kubernetes cluster unreachable: connect: connection refused"


def helm(arguments: list[str]) -> str:
    """Check `helm upgrade` by rendering the chart."""
    parser = argparse.ArgumentParser(prog="helm", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    upgrade = commands.add_parser("upgrade", allow_abbrev=False)
    upgrade.add_argument("name")
    upgrade.add_argument("chart", type=Path)
    upgrade.add_argument("-i", "--install", action="store_true")
    upgrade.add_argument("-n", "--namespace", default="default")
    upgrade.add_argument("-f", "--values", action="append", type=Path, default=[])
    options = parser.parse_args(arguments)
    if not importlib.util.find_spec("helm_python"):
        return "helm: not installed"
    from tests.deploy.helm.charts import helm as library
    from tests.deploy.helm.charts import merged

    values = merged(*(yaml.safe_load(file.read_text()) for file in options.values))
    with library.Chart.load(options.chart) as chart:
        assert chart.render(values, name=options.name, namespace=options.namespace)
    return _NO_CLUSTER


def aws(arguments: list[str]) -> str:
    """Check a command by botocore's model of the service: operation, options, files."""
    service, command, *options = arguments
    if own := _COMMANDS_OF_THE_CLI.get((service, command)):  # no model describes them
        own().parse_args(options)
        return _NO_CREDENTIALS
    model = botocore.session.Session().get_service_model(service)
    operations = {_option(name): name for name in model.operation_names}
    shape: Any = model.operation_model(operations[command]).input_shape
    parser = argparse.ArgumentParser(prog=f"aws {service} {command}", allow_abbrev=False)
    parser.add_argument("--region")
    for member in shape.members:
        parser.add_argument(f"--{_option(member)}", required=member in shape.required_members)
    for value in vars(parser.parse_args(options)).values():
        if value and value.startswith("file://"):
            _check_policy(Path(value.removeprefix("file://")).read_text(encoding="utf-8"))
    return _NO_CREDENTIALS


def _s3_cp() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aws s3 cp", allow_abbrev=False)
    parser.add_argument("--recursive", action="store_true")
    parser.add_argument("source")
    parser.add_argument("target")
    return parser


def _cloudformation_deploy() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aws cloudformation deploy", allow_abbrev=False)
    parser.add_argument("--region")
    parser.add_argument("--stack-name", required=True)
    parser.add_argument("--template-file", required=True, type=argparse.FileType())
    parser.add_argument("--parameter-overrides", nargs="+")
    return parser


_COMMANDS_OF_THE_CLI: Final = {
    ("s3", "cp"): _s3_cp,
    ("cloudformation", "deploy"): _cloudformation_deploy,
}


def _check_policy(text: str) -> None:
    """Raise if a policy is not JSON, or still has a name of `deploy/iam` to replace."""
    json.loads(text)
    left = re.findall(r'(?<=[:/"])(?!AWS\b)[A-Z][A-Z-]+\b', text)
    assert not left, f"not replaced: {left}"


def docker(arguments: list[str]) -> str:
    """Run Compose, which tests install, or the system's client."""
    is_compose = arguments[:1] == ["compose"]
    program = "docker-compose" if is_compose else "docker"
    others = os.environ["PATH"].partition(":")[2]  # the first folder has this stand-in
    found = shutil.which(program, path=f"{Path(sys.executable).parent}:{others}")
    if found:
        os.execv(found, (program, *arguments[is_compose:]))  # noqa: S606 (a command of the pages)
    return f"{program}: not installed"


def _option(name: str) -> str:
    return str(xform_name(name, "-"))


def main() -> int:
    """Run a stand-in; print how the command fails."""
    program = {"helm": helm, "aws": aws, "docker": docker}[sys.argv[1]]
    sys.stderr.write(program(sys.argv[2:]) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
