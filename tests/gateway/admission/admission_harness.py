"""The admission of one gateway, for tests."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from gateway.admission.admission import Admission, pools
from gateway.admission.breaker import THRESHOLD
from gateway.admission.capacity import Capacity
from gateway.admission.endpoint import Access
from gateway.admission.routes import Routes
from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError, UpstreamError
from gateway.metrics import Metrics
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import make_dialect
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.gateway.scripted import ScriptedStream, ScriptedTransport

TRACKS = [TrackFormat("inbound", Encoding.PCMU, 8000), TrackFormat("outbound", Encoding.PCMU, 8000)]
BROKEN = UpstreamError("connect-refused")


def start(tracks: int = 2, called: str | None = None, **params: str) -> CallStarted:
    return CallStarted("CA1", "MZ1", tuple(TRACKS[:tracks]), params, called)


def endpoint(sessions: int | None = 4, **more: Any) -> dict[str, Any]:
    return {"url": "ws://127.0.0.1:1/", "sessions": sessions, **more}


def access(routes: Routes, transports: Mapping[str, ScriptedTransport]) -> dict[str, Access]:
    """Return how sessions are opened at endpoints with these transports."""
    return {
        name: Access(
            transport,
            make_dialect(routes.endpoints[name].dialect),
            Options(routes.endpoints[name].model or "voxtral"),
        )
        for name, transport in transports.items()
    }


class AdmissionHarness:
    """One gateway's admission. The test sets the breakers' clock, `now_s`."""

    def __init__(
        self,
        endpoints: dict[str, dict[str, Any]] | None = None,
        routes: list[dict[str, Any]] | None = None,
        *,
        store: MemoryCapacityStore | None = None,
        owner: str = "gw-0",
        wait_s: float = 0,
        greet: Callable[[ScriptedStream], None] = ScriptedStream.created,
    ) -> None:
        endpoints = endpoints or {"a": endpoint()}
        routes = routes or [{"name": "all", "endpoints": list(endpoints)}]
        parsed = Routes.model_validate({"endpoints": endpoints, "routes": routes})
        self.now_s = 0.0
        self.store = store or MemoryCapacityStore(lambda: 0.0)
        self.metrics = Metrics()
        self.capacity = Capacity(self.store, pools(parsed), owner=owner, lease_s=3000)
        self.transports = {name: ScriptedTransport(greet) for name in endpoints}
        self.admission = Admission(
            parsed,
            access(parsed, self.transports),
            self.capacity,
            self.metrics,
            wait_s=wait_s,
            random=Random(1),  # noqa: S311  # jitter
            monotonic_s=lambda: self.now_s,
        )

    def held(self, name: str = "a") -> int:
        return self.capacity[f"endpoint:{name}"].held

    def calls(self, route: str = "all") -> int:
        return self.capacity[f"route:{route}"].held

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"callscribe_{name}", labels)

    async def break_endpoint(self, name: str = "a") -> None:
        """Fail calls at the endpoint, which must be the preferred one, until its breaker opens."""
        for _ in range(THRESHOLD):
            async with self.admission.enter("twilio") as reservation:
                slot = await reservation.acquire_slot()
                assert slot.endpoint == name
                slot.failed(BROKEN)
                slot.release()
        assert self.metric("breaker_state", endpoint=name) == 2


async def refusal(
    harness: AdmissionHarness, carrier: str = "twilio", route: str | None = None
) -> str:
    with pytest.raises(CarrierError) as caught:
        async with harness.admission.enter(carrier, route):
            pytest.fail("the stream was admitted")
    return caught.value.reason
