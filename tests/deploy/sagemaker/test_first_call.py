"""`wake --first-call`: the endpoint is created again once a call could not be transcribed."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from cli import audit
from cli.callers.call import Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.twilio import Twilio
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import Part, RunningPart, answers
from deploy.sagemaker import first_call
from deploy.sagemaker.config import Watch, parse
from deploy.sagemaker.watch import prometheus
from tests.deploy.sagemaker.conftest import EXAMPLE, FakeClock, Operator
from tests.deploy.sagemaker.test_watch import Prometheus, server
from tests.deploy.watching import needs_prometheus
from tests.redis_servers import free_port

__all__ = ["server"]

LIMIT_S = 60.0
POLLS = 44  # until a failure that does not end counts


@pytest.mark.parametrize(
    ("values", "polls"),
    [
        ([0, 0, 1], 3),
        ([None, 1], 2),  # a gateway that has just started
        ([1, 1, 0, 0, 1], 5),  # the first failure is from before
        ([1, OSError("x"), 1, 0, 1], 5),
        ([OSError("x"), OSError("x"), 0, 1], 4),
        ([1] * 60, POLLS + 2),  # further calls fail
        ([0] * 60, None),
        ([None] * 60, None),
        ([OSError("x")] * 60, None),
    ],
)
def test_only_a_failure_since_the_wait_began_counts(
    values: Sequence[float | OSError | None], polls: int | None
) -> None:
    clock, said = FakeClock(), list[str]()
    left = iter(values)

    def query(_: str) -> float | None:
        value = next(left)
        if isinstance(value, OSError):
            raise value
        return value

    text = EXAMPLE.read_text().replace("[tags]", '[watch]\nprometheus = "http://x"\n[tags]')
    deployment = parse(text, "x")
    came = first_call.wait(deployment, query, clock, said.append, len(values) * 15.0)
    assert came is (polls is not None)
    assert len(list(left)) == (len(values) - polls if polls else 0)
    assert len(said) <= len(set(values)) + 1  # not one line per poll


@pytest.fixture
def hibernating(operator: Operator, server: str) -> Operator:
    operator.edit(r"^\[tags\]", f'[watch]\nprometheus = "{server}"\n[tags]')
    assert operator("create") == 0
    assert operator("hibernate") == 0
    Prometheus.values = {"": "0"}
    return operator


def test_the_first_call_wakes_the_endpoint(hibernating: Operator) -> None:
    def ring() -> None:
        Prometheus.values = {'callscribe_endpoint_failing{endpoint="voxtral"}': "1"}

    hibernating.clock.at[hibernating.clock.now() + 600] = ring
    assert hibernating("wake", "--first-call", "1") == 0
    assert "  0 s: no call" in hibernating.out
    assert "a call came that gateways could not transcribe" in hibernating.out
    assert hibernating.aws.endpoints["voxtral"].status == "InService"
    assert hibernating.aws.policies
    assert hibernating("wake", "--first-call", "1") == 0
    assert "nothing to do" in hibernating.out
    assert "waiting" not in hibernating.out


def test_the_wait_ends_without_a_call(hibernating: Operator) -> None:
    before = hibernating.clock.now()
    assert hibernating("wake", "--first-call", "2") == 0
    assert hibernating.clock.now() - before == pytest.approx(2 * 3600)
    assert "no call came; nothing was changed" in hibernating.out
    assert not hibernating.aws.endpoints


def test_an_endpoint_that_was_woken_meanwhile_is_left_alone(hibernating: Operator) -> None:
    def wake_and_ring() -> None:
        assert Operator(hibernating.aws, hibernating.file, hibernating.capture)("wake") == 0
        Prometheus.values = {"failing": "1"}
        hibernating.aws.calls.clear()

    hibernating.clock.at[hibernating.clock.now() + 60] = wake_and_ring
    assert hibernating("wake", "--first-call", "1") == 0
    assert "CreateEndpoint" not in hibernating.aws.calls


def test_the_wait_needs_prometheus(operator: Operator) -> None:
    assert operator("create") == 0
    assert operator("hibernate") == 0
    assert operator("wake", "--first-call", "1") == 1
    assert "set watch.prometheus" in operator.err


@pytest.mark.parametrize("hours", ["0", "169", "-1", "x", "1.5"])
def test_the_wait_is_bounded(operator: Operator, hours: str) -> None:
    with pytest.raises(SystemExit):
        operator("wake", "--first-call", hours)


@contextlib.asynccontextmanager
async def real_prometheus(gateway_port: int, folder: Path) -> AsyncIterator[str]:
    """Run Prometheus, which scrapes a gateway; yield its URL."""
    port = free_port()
    file = folder / "prometheus.yml"
    file.write_text(
        "scrape_configs: [{job_name: gateway, scrape_interval: 1s, scrape_timeout: 1s,"
        f" static_configs: [{{targets: ['127.0.0.1:{gateway_port}']}}]}}]"
    )
    command = (
        str(shutil.which("prometheus")),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    part = Part("prometheus", command, {}, answers("127.0.0.1", port, "/-/ready"))
    running = await RunningPart.start(part, folder)
    try:
        await running.until_ready(LIMIT_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        await running.end()


@needs_prometheus
async def test_a_call_to_a_missing_endpoint_is_seen_in_prometheus(tmp_path: Path) -> None:
    """All is real but AWS: a gateway process, its call, SageMaker's reply, and Prometheus."""
    settings = local.StackSettings(
        ports=local.Ports.free(),
        engine_model="checksum",
        endpoint={"ENDPOINT_NAMES": "another"},
    )
    wanted = first_call.expression(
        parse(EXAMPLE.read_text(), "x"), Watch(prometheus="http://x", endpoint=local.ENDPOINT_NAME)
    )
    async with (
        local.running(settings) as stack,
        real_prometheus(settings.ports.admin, tmp_path) as url,
        aiohttp.ClientSession() as http,
        asyncio.timeout(LIMIT_S),
    ):
        query = prometheus(url)
        while (before := await asyncio.to_thread(query, wanted)) is None:  # noqa: ASYNC110 - Prometheus has no event
            await asyncio.sleep(0.1)
        assert before == 0
        call = Call({"inbound": audit.noise(1, 1000), "outbound": audit.noise(2, 1000)})
        await place(http, Gateway(stack.media_url, stack.public_url), Twilio(CREDENTIALS), call)
        while await asyncio.to_thread(query, wanted) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
