"""The gateways' metrics decide about an update."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.sagemaker.config import Watch as Limits
from deploy.sagemaker.watch import expressions, parse_value, prometheus
from tests.deploy.sagemaker.conftest import Operator

METRICS = Path(__file__).resolve().parents[3] / "docs/metrics.md"


class Prometheus(BaseHTTPRequestHandler):
    """Replies to instant queries with the value of the first metric that a query names."""

    values: ClassVar[dict[str, str]] = {}
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        (query,) = parse_qs(urlsplit(self.path).query)["query"]
        value = next((v for name, v in self.values.items() if name in query), None)
        result = [] if value is None else [{"metric": {}, "value": [1.0, value]}]
        body = json.dumps({"status": "success", "data": {"result": result}}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Prometheus.values, Prometheus.status = {}, 200
    with ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.fixture
def watching(operator: Operator, server: str) -> Operator:
    operator.edit(r"^\[tags\]", f'[watch]\nprometheus = "{server}"\n[tags]')
    assert operator("create") == 0
    operator.edit("callscribe-model:1.0.0", "callscribe-model:1.1.0")
    return operator


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("first_delta_seconds", "12.5", "first delta (95th percentile, s) is 12.5"),
        ("session_lag_seconds", "7", "lag of sessions (95th percentile, s) is 7"),
        ("session_failures_total", "0.25", "failed sessions per opened one is 0.25"),
        ("session_failures_total", "+Inf", "failed sessions per opened one is inf"),
    ],
)
def test_update_is_rolled_back_if_a_metric_is_over_its_limit(
    watching: Operator, metric: str, value: str, words: str
) -> None:
    before = watching.aws.snapshot
    Prometheus.values = {metric: value}
    assert watching("update") == 1
    assert words in watching.out
    assert watching.err.startswith("deploy.sagemaker: rolled back: ")
    assert watching.aws.calls.count("SetAlarmState") == 2  # to OK, to ALARM
    assert watching.aws.snapshot == before


@pytest.mark.parametrize("value", ["0.01", "NaN"])
def test_update_succeeds_if_metrics_are_below_their_limits_or_have_no_data(
    watching: Operator, value: str
) -> None:
    Prometheus.values = {"first_delta_seconds": value}
    assert watching("update") == 0


def test_order_to_roll_back_that_is_refused_is_repeated(watching: Operator) -> None:
    Prometheus.values = {"first_delta_seconds": "60"}
    watching.aws.refuse = {("SetAlarmState", 2): ("ThrottlingException", "Rate exceeded")}
    assert watching("update") == 1
    assert watching.aws.calls.count("SetAlarmState") == 3


def test_unavailable_prometheus_does_not_end_an_update(watching: Operator) -> None:
    Prometheus.status = 503
    assert watching("update") == 0
    assert "Prometheus can't be queried: status 503" in watching.out


def test_unreachable_prometheus_is_an_os_error() -> None:
    with pytest.raises(OSError, match="refused"):
        prometheus("http://127.0.0.1:9")("up")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data": {"result": [{"value": 1}]}}', b"\xff"]
)
def test_reply_of_another_format_is_an_os_error(body: bytes) -> None:
    with pytest.raises(OSError, match="format"):
        parse_value(body)


def test_metrics_exist() -> None:
    page = METRICS.read_text()
    for expression, _ in expressions(Limits(prometheus="http://x")).values():
        names = expression.replace("(", " ").replace("[", " ").split()
        used = {n.removesuffix("_bucket") for n in names if n.startswith("callscribe_")}
        assert used
        for name in used:
            assert f"| `{name}` |" in page
