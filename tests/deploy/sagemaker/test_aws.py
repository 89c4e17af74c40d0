"""The clients against a local HTTP server: retries, and credentials."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from deploy.sagemaker.aws import Aws
from deploy.sagemaker.errors import DeployError, Kind
from deploy.sagemaker.steps import Call, Service

LISTING = Call(Service.SAGEMAKER, "list_models", {"NameContains": "x"})


class SageMaker(BaseHTTPRequestHandler):
    """Throttles the first requests."""

    throttled: ClassVar[int] = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body: dict[str, Any] = {"Models": []}
        if refuses := SageMaker.throttled > 0:
            SageMaker.throttled -= 1
            body = {"__type": "ThrottlingException", "message": "Rate exceeded"}
        text = json.dumps(body).encode()
        self.send_response(400 if refuses else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it caches credentials


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with ThreadingHTTPServer(("127.0.0.1", 0), SageMaker) as http:
        url = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield
        http.shutdown()
        thread.join()


@pytest.mark.usefixtures("server")
def test_throttled_requests_are_repeated() -> None:
    SageMaker.throttled = 2
    assert Aws("eu-central-1").call(LISTING)["Models"] == []
    assert SageMaker.throttled == 0


def test_missing_credentials_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(DeployError, match=r"^credentials: NoCredentialsError") as error:
        Aws("eu-central-1").call(LISTING)
    assert error.value.kind is Kind.CREDENTIALS


def test_unknown_profile_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(DeployError, match=r"^credentials: ProfileNotFound"):
        Aws("eu-central-1")
