"""`python -m deploy.sagemaker image`: the commands, and running them with the programs replaced."""

from pathlib import Path

import pytest

from deploy.sagemaker.config import parse
from deploy.sagemaker.errors import DeployError
from deploy.sagemaker.image import commands
from tests.deploy.sagemaker.conftest import EXAMPLE, Operator

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def test_commands_build_and_push_the_image_of_the_file() -> None:
    login, build, push = commands(parse(EXAMPLE.read_text(), "example"))
    assert login.endswith(f"docker login --username AWS --password-stdin {REGISTRY}")
    assert build == (
        "docker build --platform linux/amd64 -f container/Dockerfile "
        f"-t {REGISTRY}/callscribe-model:1.0.0 ."
    )
    assert push == f"docker push {REGISTRY}/callscribe-model:1.0.0"


@pytest.mark.parametrize(
    "image",
    [f"{REGISTRY}/callscribe-model@sha256:{'0' * 64}", "docker.io/callscribe/model:1"],
)
def test_image_that_can_not_be_pushed_is_refused(image: str) -> None:
    text = EXAMPLE.read_text().replace(f"{REGISTRY}/callscribe-model:1.0.0", image)
    with pytest.raises(DeployError, match="repository in ECR"):
        commands(parse(text, "example"))


def fake(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/log\n{script}\n')
    program.chmod(0o755)


def test_they_run_in_order_and_stop_at_the_first_failure(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake(tmp_path, "aws", "echo secret")
    fake(tmp_path, "docker", '[ "$1" != login ] || grep -q secret')
    assert operator("image") == 0
    words = [line.split()[:2] for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(words[:2]) == [["aws", "ecr"], ["docker", "login"]]
    assert words[2:] == [["docker", "build"], ["docker", "push"]]
    fake(tmp_path, "docker", '[ "$1" != login ] || cat > /dev/null; [ "$1" != build ]')
    assert operator("image") == 1
    assert "docker build" in operator.err
    assert "push" not in (tmp_path / "log").read_text().splitlines()[-1]


def test_missing_docker_is_reported(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert operator("image") == 1
    assert "docker is not installed" in operator.err
    assert "docker push" in operator.out
