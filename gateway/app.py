"""The composition root: the only place where clients are built and parts meet."""

import asyncio
import contextlib
import gc
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from aiohttp import web

from common.descriptors import Descriptors
from common.memory import giving_back
from common.serving import listening, stop_signals
from common.version import version
from gateway.admission.admission import Admission, pools
from gateway.admission.capacity import Capacity
from gateway.admission.capacity_store import TIMEOUT_S as CAPACITY_TIMEOUT_S
from gateway.admission.capacity_store import RedisCapacityStore
from gateway.admission.overload import Load, watching
from gateway.admission.routes import EndpointConfig, Routes, load_routes
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallLimits, CallServices, epochs
from gateway.carriers.carrier import Carrier, OpenIdCarrier
from gateway.ingress.admin import admin_app
from gateway.ingress.admin_api import AdminApi
from gateway.ingress.admin_tokens import AdminTokens
from gateway.ingress.carriers import CarrierRoutes
from gateway.ingress.doors import Doors
from gateway.ingress.openid import keeping
from gateway.ingress.refusals import Refusals, noting_unserved
from gateway.ingress.replay_guard import ReplayGuard
from gateway.ingress.token_issuer import TokenIssuer
from gateway.metrics import Metrics, add_process_metrics
from gateway.publishing.eviction import EvictionWatch
from gateway.publishing.publisher import Limits, Publisher
from gateway.publishing.redis_health import RedisHealth
from gateway.publishing.redis_store import RedisStore
from gateway.publishing.spool.spool import Spool
from gateway.readiness import Condition, Readiness, degraded, not_ready
from gateway.redis_client.check import check_settings
from gateway.redis_client.client import RedisClient, create_client, destination
from gateway.redis_client.single_use_store import TIMEOUT_S as ONCE_TIMEOUT_S
from gateway.redis_client.single_use_store import RedisSingleUseStore
from gateway.reload import CarrierSettings
from gateway.settings import Settings
from gateway.upstream.sagemaker.transport import SageMakerTransport
from gateway.upstream.transport import UpstreamTransport, ignore
from gateway.upstream.websocket import WebSocketTransport

_BODY_LIMIT_BYTES: Final = 65_536  # a webhook's form is a few hundred bytes
_GOODBYE_S: Final = 15.0  # after the last words, for the carriers' sockets to close

_log = structlog.get_logger()


class Gateway(NamedTuple):
    """A gateway that serves: where it listens, and what is live in it."""

    public: int
    admin: int
    streams: LiveStreams
    renew: Callable[[Sequence[Carrier]], None]  # has carriers take the place of those before


async def run(settings: Settings, kinds: Iterable[Any]) -> None:
    """Serve until told to stop, by SIGTERM or the admin API; let the live calls go on, then end.

    A second SIGTERM, or a SIGINT, ends them at once, with their last words; another signal does not
    wait for these either. At SIGHUP the carriers' settings are read again.

    Raises:
        SettingsError: a setting of a carrier is invalid, a port is in use, or Redis or the upstream
            can't be used as configured.
    """
    carriers = CarrierSettings(kinds, settings.secrets_dir)
    stop, hurry, at_once = stop_signals()
    async with (
        serve(settings, carriers.make(), stop, at_once) as gateway,
        carriers.reloading(gateway.renew),
    ):
        await stop.wait()
        _log.info("gateway-draining", streams=gateway.streams.admitted)
        await gateway.streams.drain(settings.drain_timeout_s, hurry)
        _log.info("gateway-stopping", streams=gateway.streams.admitted, hurried=hurry.is_set())


@contextlib.asynccontextmanager
async def serve(
    settings: Settings,
    carriers: Sequence[Carrier],
    stop: asyncio.Event | None = None,
    at_once: asyncio.Event | None = None,
) -> AsyncIterator[Gateway]:
    """Serve both ports for as long as the context lasts; at its end the live calls end in order.

    Args:
        settings: all of them, but the carriers' own.
        carriers: who may call.
        stop: once set, by the admin API too, new calls are refused; the live ones go on.
        at_once: once set, the end does not wait for last words.

    Raises:
        SettingsError: as `run`.
    """
    admin_tokens = _admin_tokens(settings)
    routes = load_routes(settings)
    metrics = Metrics()
    add_process_metrics(metrics.registry, asyncio.get_running_loop())
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(giving_back())
        publisher = await stack.enter_async_context(_publishing(settings, metrics))
        admission = await stack.enter_async_context(_admission(settings, routes, metrics))
        load = Load(settings.overload_cpu, settings.overload_lag_ms / 1000)
        streams = LiveStreams(settings.max_calls, stop, load)
        await stack.enter_async_context(watching(load, lambda: streams.admitted, metrics))
        metrics.streams_limit.set(settings.max_calls)
        metrics.streams_admitted.set_function(lambda: streams.admitted)
        metrics.draining.set_function(lambda: streams.draining)
        services = CallServices(
            open_writer=publisher.open_stream,
            new_epoch=epochs(time.time),
            metrics=metrics,
            limits=call_limits(settings),
            monotonic_s=time.monotonic,
            wall_s=time.time,
        )
        once = await stack.enter_async_context(_redis_client(settings, ONCE_TIMEOUT_S))
        shown = ReplayGuard(RedisSingleUseStore(once), remember_s=settings.retention_s)
        names = [route.name for route in routes.routes]
        refusals = Refusals(metrics, time.monotonic, settings.public_url, names)
        public = web.Application(
            client_max_size=_BODY_LIMIT_BYTES, middlewares=[noting_unserved(refusals, carriers)]
        )
        carrier_routes = {}
        for carrier in carriers:
            if isinstance(carrier, OpenIdCarrier) and carrier.openid:
                await stack.enter_async_context(keeping(carrier.openid, carrier.name))
            routes_of = CarrierRoutes(
                carrier, settings, services, streams, admission, shown, refusals
            )
            routes_of.add_to(public)
            carrier_routes[carrier.name] = routes_of
        _say_who_may_call(carriers)
        readiness = await stack.enter_async_context(
            _readiness(settings, streams, publisher, metrics)
        )
        readiness.add(lambda: _upstream_conditions(admission))
        metrics.ready.set_function(lambda: all(each.ready for each in readiness.conditions))
        metrics.degraded.set_function(lambda: sum(each.ready for each in readiness.conditions))
        admin = admin_app(metrics.registry, readiness)
        mint = TokenIssuer(carriers, settings, routes, time.time)
        if admin_tokens:
            AdminApi(admin_tokens, streams, mint).add_to(admin)
        notice = Doors(metrics).notice
        port = await stack.enter_async_context(
            listening(public, settings.host, settings.port, Descriptors(), notice)
        )
        # After the public port: `/readyz` must not be ok before calls can come.
        admin_port = await stack.enter_async_context(
            listening(admin, settings.admin_host, settings.admin_port, notice=notice)
        )
        # Last in, first out: calls end while their sockets, their sessions and Redis are there.
        longest_s = settings.finish_timeout_s + _GOODBYE_S
        stack.push_async_callback(streams.end_all, longest_s, at_once)
        _log.info(
            "gateway-started",
            version=version(),
            port=port,
            admin_port=admin_port,
            public_url=settings.public_url,
            carriers=[carrier.name for carrier in carriers if not carrier.missing_setting],
            endpoints=list(routes.endpoints),
            routes=names,
            admin_api=admin_tokens is not None,
        )
        gc.collect()
        gc.freeze()  # what is here now stays: a full collection need not look at it again

        def renew(changed: Sequence[Carrier]) -> None:
            mint.renew(changed)
            for each in changed:
                carrier_routes[each.name].renew(each)

        yield Gateway(port, admin_port, streams, renew)


def _say_who_may_call(carriers: Sequence[Carrier]) -> None:
    if names := [carrier.name for carrier in carriers if not carrier.missing_setting]:
        _log.info("carriers-open", carriers=names)
        return
    needs = [f"{carrier.name}: {carrier.missing_setting}" for carrier in carriers]
    _log.warning("all-carriers-closed", needs=needs)


def _upstream_conditions(admission: Admission) -> Iterable[Condition]:
    """Return where sessions fail: new calls are welcome all the same, as some may succeed."""
    for name, error in admission.troubles().items():
        yield degraded(f"{error.reason} (endpoint {name})")


def _admin_tokens(settings: Settings) -> AdminTokens | None:
    if settings.admin_tokens is None:
        _log.warning("admin-api-closed", needs="GATEWAY_ADMIN_TOKENS")
        return None
    return AdminTokens.read(settings.admin_tokens.get_secret_value())


@contextlib.asynccontextmanager
async def _publishing(settings: Settings, metrics: Metrics) -> AsyncIterator[Publisher]:
    limits = Limits(
        lease_s=settings.lease_s,
        retention_s=settings.retention_s,
        events_age_s=settings.retention_s,
    )
    async with _redis_client(settings) as client:
        if away := await check_settings(client):
            _log.warning("redis-unavailable", error=away, consequence="not ready; events wait")
        spool = Spool(
            settings.spool_dir or Path(tempfile.gettempdir()),
            destination(client),
            settings.spool_max_mb * 1024 * 1024,
            lambda reason: metrics.redis_errors_total.labels(reason).inc(),
            retention_s=settings.retention_s,
        )
        async with Publisher(
            RedisStore(client),
            gateway=settings.id,
            metrics=metrics,
            partitions=settings.partitions,
            limits=limits,
            spool=spool,
        ) as publisher:
            yield publisher


@contextlib.asynccontextmanager
async def _readiness(
    settings: Settings, streams: LiveStreams, publisher: Publisher, metrics: Metrics
) -> AsyncIterator[Readiness]:
    """Make what `/readyz` reports.

    Redis is tested on a client of its own, so that no test waits for a batch.
    """
    readiness = Readiness()
    readiness.add(lambda: [not_ready("draining")] if streams.draining else [])
    readiness.add(lambda: [not_ready("overloaded")] if streams.overloaded else [])
    async with (
        _redis_client(settings) as client,
        RedisHealth(
            client, settings.partitions, outage=publisher.outage, fullness=publisher.fullness
        ) as health,
        EvictionWatch(client, metrics, publisher.open_streams) as eviction,
    ):
        readiness.add(health.conditions)
        readiness.add(eviction.conditions)
        yield readiness


@contextlib.asynccontextmanager
async def _redis_client(settings: Settings, timeout_s: float = 2.0) -> AsyncIterator[RedisClient]:
    client = create_client(settings.redis_url.get_secret_value(), timeout_s)
    try:
        yield client
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def _admission(
    settings: Settings, routes: Routes, metrics: Metrics
) -> AsyncIterator[Admission]:
    """Create the admission: the endpoints' transports, and slots shared with all gateways.

    The places have a Redis client of their own, with shorter time-outs: calls that start wait.
    """
    async with contextlib.AsyncExitStack() as stack:
        transports = {}
        for name, endpoint in routes.endpoints.items():
            observe_wait_s = metrics.append_latency_seconds.observe
            transports[name] = make_transport(endpoint, settings, observe_wait_s)
            stack.push_async_callback(transports[name].close)
        client = await stack.enter_async_context(_redis_client(settings, CAPACITY_TIMEOUT_S))
        capacity = await stack.enter_async_context(
            Capacity(
                RedisCapacityStore(client),
                pools(routes),
                owner=f"{settings.id}.{time.time_ns() // 1_000_000}",
                lease_s=settings.lease_s,
            )
        )
        yield Admission(
            routes,
            transports,
            capacity,
            metrics,
            model=settings.model,
            wait_s=settings.admission_wait_s,
            random=random.Random(),  # noqa: S311  # jitter
            monotonic_s=time.monotonic,
        )


def make_transport(
    endpoint: EndpointConfig, settings: Settings, observe_wait_s: Callable[[float], None] = ignore
) -> UpstreamTransport:
    """Make what opens sessions at an endpoint.

    Raises:
        SettingsError: the endpoint's URL or the CA file can't be used.
    """
    if endpoint.url:
        key = settings.realtime_api_key
        return WebSocketTransport(
            endpoint.url,
            api_key=key.get_secret_value() if key else None,
            open_timeout_s=settings.open_timeout_s,
            observe_wait_s=observe_wait_s,
        )
    return SageMakerTransport(
        endpoint.endpoint or "",  # the endpoint's validator saw to it
        settings.aws_region or "",  # so did `load_routes`
        url=settings.sagemaker_url,
        ca_file=settings.sagemaker_ca_file,
        variant=endpoint.variant,
        response_timeout_s=settings.open_timeout_s,
        observe_wait_s=observe_wait_s,
    )


def call_limits(settings: Settings) -> CallLimits:
    """Return each call's limits, from the settings."""
    return CallLimits(
        chunk_ms=settings.chunk_ms,
        open_timeout_s=settings.open_timeout_s,
        done_timeout_s=settings.done_timeout_s,
        finish_timeout_s=settings.finish_timeout_s,
        replay_ms=settings.replay_ms,
        retry_budget_s=settings.retry_budget_s,
        rollover_soft_s=settings.rollover_soft_s,
        rollover_hard_s=settings.rollover_hard_s,
        first_delta_late_s=settings.first_delta_late_s,
        mute_timeout_s=settings.mute_timeout_s,
        max_lag_ms=settings.max_lag_ms,
        rut_deltas=settings.rut_deltas,
        segment_pause_ms=settings.segment_pause_ms,
        segment_max_ms=settings.segment_max_ms,
        idle_timeout_s=settings.idle_timeout_s,
        silence_timeout_s=settings.silence_timeout_s,
        max_call_s=settings.max_call_s,
        publish_params=settings.publish_params,
        roles={"inbound": settings.inbound_role, "outbound": settings.outbound_role},
    )
