"""The commands that build the model's image and push it to Amazon ECR."""

import re
import shlex
import shutil
import subprocess
from typing import Final

from deploy.sagemaker.config import Deployment
from deploy.sagemaker.errors import DeployError, Kind

_ECR: Final = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/[^@]+:[^@/:]+")


def commands(deployment: Deployment) -> list[str]:
    """Return the commands, for a shell in the project's folder.

    Raises:
        DeployError: the image is not a tag in ECR, so it can't be pushed.
    """
    image = deployment.model.image
    if not _ECR.fullmatch(image):
        raise DeployError(Kind.USAGE, "model.image must be a repository in ECR with a tag to push")
    registry, tagged = shlex.quote(image.partition("/")[0]), shlex.quote(image)
    region = shlex.quote(deployment.region)
    return [
        f"aws ecr get-login-password --region {region} |"
        f" docker login --username AWS --password-stdin {registry}",
        f"docker build --platform linux/amd64 -f container/Dockerfile -t {tagged} .",
        f"docker push {tagged}",
    ]


def run(deployment: Deployment) -> None:
    """Run the commands one after another; their output goes to the terminal.

    Raises:
        DeployError: a program is not installed, or a command fails.
    """
    lines = commands(deployment)
    for program in ("docker", "aws"):
        if not shutil.which(program):
            raise DeployError(Kind.USAGE, f"{program} is not installed; run the commands elsewhere")
    for line in lines:
        shell = ("bash", "-o", "pipefail", "-c", line)
        if code := subprocess.run(shell, check=False).returncode:  # noqa: S603 (quoted)
            raise DeployError(Kind.FAILED, f"exit code {code}: {line}")
