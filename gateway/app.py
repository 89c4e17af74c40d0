"""The composition root: builds the gateway's clients and components, and connects them."""

import asyncio
import contextlib
import gc
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from common.admin_tokens import AdminTokens
from common.exposition import private_app
from common.resources import Descriptors, returning_memory
from common.serving import listening, stop_signals
from common.version import version
from gateway.admission.admission import Admission, pools
from gateway.admission.capacity import Capacity
from gateway.admission.capacity_store import TIMEOUT_S as CAPACITY_TIMEOUT_S
from gateway.admission.capacity_store import RedisCapacityStore
from gateway.admission.endpoint import Access
from gateway.admission.overload import Load, watching
from gateway.admission.routes import EndpointConfig, Routes, load_routes
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallLimits, CallServices, epochs
from gateway.carriers.carrier import Carrier, OpenIdCarrier
from gateway.ingress.admin_api import AdminApi
from gateway.ingress.admin_tokens import Scope, read_tokens
from gateway.ingress.carriers import CarrierRoutes
from gateway.ingress.openid import refreshing_keys
from gateway.ingress.refusals import ConnectionRefusals, Refusals, noting_unserved
from gateway.ingress.replay_guard import ReplayGuard
from gateway.ingress.token_issuer import TokenIssuer
from gateway.metrics import Metrics, add_process_metrics
from gateway.publishing.eviction import EvictionWatch
from gateway.publishing.outbox import Limits
from gateway.publishing.publisher import Publisher
from gateway.publishing.redis_health import RedisHealth
from gateway.publishing.redis_store import RedisStore
from gateway.publishing.spool.spool import Spool
from gateway.readiness import Condition, Readiness, degraded, not_ready
from gateway.redis_client.check import check_settings
from gateway.redis_client.client import RedisClient, create_client, destination
from gateway.redis_client.single_use_store import TIMEOUT_S as SINGLE_USE_TIMEOUT_S
from gateway.redis_client.single_use_store import RedisSingleUseStore
from gateway.reload import CarrierSettings, reloading
from gateway.settings import Settings
from gateway.tracing import StartTrace, tracing
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import make_dialect
from gateway.upstream.sagemaker.transport import SageMakerTransport, TransportLimits
from gateway.upstream.transport import UpstreamTransport, ignore
from gateway.upstream.websocket import WebSocketTransport

_BODY_LIMIT_BYTES: Final = 65_536  # a webhook's form has a few hundred bytes
_CLOSE_S: Final = 15.0  # for the carriers' sockets to close, after the final transcripts

_log = structlog.get_logger()


class Gateway(NamedTuple):
    """A running gateway.

    Attributes:
        public: the public port.
        admin: the private port.
        streams: its live streams.
        replace_carriers: replaces carriers by ones with changed settings.
        replace_routes: replaces all endpoints and routes; raises SettingsError, without any effect,
            if that needs a restart.
    """

    public: int
    admin: int
    streams: LiveStreams
    replace_carriers: Callable[[Sequence[Carrier]], None]
    replace_routes: Callable[[Routes], None]


async def run(settings: Settings, kinds: Iterable[Any]) -> None:
    """Serve until SIGTERM or the admin API requests a drain; then wait until live calls have ended.

    A second SIGTERM, or a SIGINT, ends all calls and waits for their final transcripts. Another
    signal ends without them. SIGHUP reloads the carriers' settings and the routes file.

    Raises:
        SettingsError: a setting of a carrier is invalid, a port is in use, or Redis or the upstream
            can't be used as configured.
    """
    carriers = CarrierSettings(kinds, settings.secrets_dir)
    stop, hurry, at_once = stop_signals()
    async with (
        serve(settings, carriers.make(), stop, at_once) as gateway,
        reloading(settings, carriers, gateway.replace_carriers, gateway.replace_routes),
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
    """Serve both ports for as long as the context lasts; at its end, finish all live calls.

    Args:
        settings: the gateway's settings, without those of the carriers.
        carriers: all carriers, enabled or not.
        stop: once it is set (the admin API sets it, too), new calls are refused and live calls
            continue.
        at_once: once it is set, the shutdown does not wait for final transcripts.

    Raises:
        SettingsError: as `run`.
    """
    admin_tokens = _admin_tokens(settings)
    routes = load_routes(settings)
    metrics = Metrics()
    add_process_metrics(metrics.registry, asyncio.get_running_loop())
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(returning_memory())
        start_trace = await enter(tracing(settings.traces_url, settings.id, metrics))
        publisher = await enter(_publishing(settings, metrics))
        admission, replace_routes = await enter(_admission(settings, routes, metrics))
        streams = await enter(_live_streams(settings, stop, metrics))
        replay_guard = await enter(_replay_guard(settings))
        refusals = Refusals(metrics, time.monotonic, settings.public_url, lambda: admission.routes)
        services = _call_services(settings, publisher, metrics, start_trace)
        shared = services, streams, admission, replay_guard, refusals
        carrier_routes = {each.name: CarrierRoutes(each, settings, *shared) for each in carriers}
        await enter(_refreshing_keys(carriers))
        _log_enabled_carriers(carriers)
        readiness = await enter(_readiness(settings, streams, publisher, admission, metrics))
        issuer = TokenIssuer(carriers, settings, lambda: admission.routes, time.time)
        public = _public_app(carrier_routes.values(), noting_unserved(refusals, carriers))
        admin = _admin_app(metrics.registry, readiness)
        if admin_tokens:
            AdminApi(admin_tokens, streams, issuer).add_to(admin)
        notice = ConnectionRefusals(metrics).notice
        port = await enter(listening(public, settings.host, settings.port, Descriptors(), notice))
        # After the public port: `/readyz` must not report ok before calls can be received.
        admin_port = await enter(
            listening(admin, settings.admin_host, settings.admin_port, notice=notice)
        )
        # Pushed last, so it runs first: calls end while sockets, sessions and Redis still work.
        stack.push_async_callback(streams.end_all, settings.finish_timeout_s + _CLOSE_S, at_once)
        _log_start(settings, carriers, routes, ports=(port, admin_port))
        gc.collect()
        gc.freeze()  # these objects stay until the end: full collections need not visit them

        def replace_carriers(changed: Sequence[Carrier]) -> None:
            issuer.replace_carriers(changed)
            for each in changed:
                carrier_routes[each.name].replace_carrier(each)

        yield Gateway(port, admin_port, streams, replace_carriers, replace_routes)


@contextlib.asynccontextmanager
async def _refreshing_keys(carriers: Iterable[Carrier]) -> AsyncIterator[None]:
    """Refresh the public keys of the carriers that use OpenID Connect."""
    async with contextlib.AsyncExitStack() as stack:
        for carrier in carriers:
            if isinstance(carrier, OpenIdCarrier) and carrier.openid:
                await stack.enter_async_context(refreshing_keys(carrier.openid, carrier.name))
        yield


@contextlib.asynccontextmanager
async def _live_streams(
    settings: Settings, stop: asyncio.Event | None, metrics: Metrics
) -> AsyncIterator[LiveStreams]:
    """Create the registry of live streams, and measure the load of the process."""
    load = Load(settings.overload_cpu, settings.overload_lag_ms / 1000)
    streams = LiveStreams(settings.max_calls, stop, load)
    metrics.streams_limit.set(settings.max_calls)
    metrics.streams_admitted.set_function(lambda: streams.admitted)
    metrics.draining.set_function(lambda: streams.draining)
    async with watching(load, lambda: streams.admitted, metrics):
        yield streams


@contextlib.asynccontextmanager
async def _replay_guard(settings: Settings) -> AsyncIterator[ReplayGuard]:
    """Create the guard against replayed credentials, with a separate Redis client."""
    async with _redis_client(settings, SINGLE_USE_TIMEOUT_S) as client:
        yield ReplayGuard(RedisSingleUseStore(client), retention_s=settings.retention_s)


def _call_services(
    settings: Settings, publisher: Publisher, metrics: Metrics, start_trace: StartTrace
) -> CallServices:
    return CallServices(
        open_writer=publisher.open_stream,
        new_epoch=epochs(time.time),
        metrics=metrics,
        limits=call_limits(settings),
        monotonic_s=time.monotonic,
        wall_s=time.time,
        start_trace=start_trace,
    )


def _public_app(
    carriers: Iterable[CarrierRoutes], middleware: Callable[..., Any]
) -> web.Application:
    """Return the application of the public port: webhooks and media sockets."""
    app = web.Application(client_max_size=_BODY_LIMIT_BYTES, middlewares=[middleware])
    for routes in carriers:
        routes.add_to(app)
    return app


def _admin_app(registry: CollectorRegistry, readiness: Readiness) -> web.Application:
    """Return the application of the private port: /metrics, /healthz and /readyz."""

    async def readyz(_: web.Request) -> web.Response:
        status, text = readiness.report()
        return web.Response(status=status, text=text)

    app = private_app(registry)
    app.router.add_get("/readyz", readyz)
    return app


def _log_start(
    settings: Settings, carriers: Sequence[Carrier], routes: Routes, *, ports: tuple[int, int]
) -> None:
    _log.info(
        "gateway-started",
        version=version(),
        port=ports[0],
        admin_port=ports[1],
        public_url=settings.public_url,
        carriers=[carrier.name for carrier in carriers if not carrier.missing_setting],
        endpoints=list(routes.endpoints),
        routes=[route.name for route in routes.routes],
        admin_api=settings.admin_tokens is not None,
    )


def _log_enabled_carriers(carriers: Sequence[Carrier]) -> None:
    if names := [carrier.name for carrier in carriers if not carrier.missing_setting]:
        _log.info("carriers-open", carriers=names)
        return
    needs = [f"{carrier.name}: {carrier.missing_setting}" for carrier in carriers]
    _log.warning("all-carriers-closed", needs=needs)


def _upstream_conditions(admission: Admission) -> Iterable[Condition]:
    """Yield the endpoints where sessions fail, as degraded: new calls may still succeed."""
    for name, error in admission.failing_endpoints().items():
        yield degraded(f"{error.reason} (endpoint {name})")
    for name in admission.doubted_endpoints():
        yield degraded(f"token-clock-doubted (endpoint {name})")


def _admin_tokens(settings: Settings) -> AdminTokens[Scope] | None:
    if settings.admin_tokens is None:
        _log.warning("admin-api-closed", needs="GATEWAY_ADMIN_TOKENS")
        return None
    return read_tokens(settings.admin_tokens.get_secret_value())


@contextlib.asynccontextmanager
async def _publishing(settings: Settings, metrics: Metrics) -> AsyncIterator[Publisher]:
    limits = Limits(
        lease_s=settings.lease_s,
        retention_s=settings.retention_s,
        events_age_s=settings.retention_s,
    )
    async with _redis_client(settings) as client:
        if problem := await check_settings(client):
            _log.warning("redis-unavailable", error=problem, consequence="not ready; events wait")
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
    settings: Settings,
    streams: LiveStreams,
    publisher: Publisher,
    admission: Admission,
    metrics: Metrics,
) -> AsyncIterator[Readiness]:
    """Create the readiness that `/readyz` reports.

    Redis is tested with a separate client, so that no test waits for a batch of events.
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
        readiness.add(lambda: _upstream_conditions(admission))
        metrics.ready.set_function(lambda: all(each.ready for each in readiness.conditions))
        metrics.degraded.set_function(lambda: sum(each.ready for each in readiness.conditions))
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
) -> AsyncIterator[tuple[Admission, Callable[[Routes], None]]]:
    """Create the admission: the endpoints' transports, and the slots shared with all gateways.

    Slots use a separate Redis client with shorter timeouts, because starting calls wait for it.

    Returns:
        The admission, and what replaces its routes; see `Gateway`.
    """
    async with contextlib.AsyncExitStack() as stack:

        def make_access(endpoints: Mapping[str, EndpointConfig]) -> dict[str, Access]:
            observe_wait_s = metrics.append_latency_seconds.observe
            made = {n: access_to(e, settings, observe_wait_s) for n, e in endpoints.items()}
            for access in made.values():
                stack.push_async_callback(access.transport.close)
            return made

        accesses = make_access(routes.endpoints)
        client = await stack.enter_async_context(_redis_client(settings, CAPACITY_TIMEOUT_S))
        capacity = await stack.enter_async_context(
            Capacity(
                RedisCapacityStore(client),
                pools(routes),
                owner=f"{settings.id}.{time.time_ns() // 1_000_000}",
                lease_s=settings.lease_s,
            )
        )
        admission = Admission(
            routes,
            accesses,
            capacity,
            metrics,
            wait_s=settings.admission_wait_s,
            random=random.Random(),  # noqa: S311  # jitter
            monotonic_s=time.monotonic,
        )

        def replace_routes(changed: Routes) -> None:
            admission.replace_routes(changed, make_access(admission.new_endpoints(changed)))

        yield admission, replace_routes


def access_to(
    config: EndpointConfig, settings: Settings, observe_wait_s: Callable[[float], None] = ignore
) -> Access:
    """Return how sessions are opened at an endpoint.

    Raises:
        SettingsError: the endpoint's URL, its API key or the CA file can't be used.
    """
    dialect = make_dialect(
        config.dialect,
        coalesce_ms=settings.coalesce_ms,
        pause_ms=settings.segment_pause_ms,
    )
    options = Options(config.model or settings.model)
    transport = _transport(config, settings, observe_wait_s)
    return Access(transport, dialect, options, settings.api_key(config.api_key))


def _transport(
    config: EndpointConfig, settings: Settings, observe_wait_s: Callable[[float], None]
) -> UpstreamTransport:
    if config.url:
        return WebSocketTransport(
            config.url,
            open_timeout_s=settings.open_timeout_s,
            observe_wait_s=observe_wait_s,
        )
    return SageMakerTransport(
        config.endpoint or "",  # never "": checked by `EndpointConfig`
        settings.aws_region or "",  # never "": checked by `load_routes`
        url=settings.sagemaker_url,
        ca_file=settings.sagemaker_ca_file,
        variant=config.variant,
        limits=TransportLimits(response_timeout_s=settings.open_timeout_s),
        observe_wait_s=observe_wait_s,
    )


def call_limits(settings: Settings) -> CallLimits:
    """Return the limits of each call: the settings of the same names, and the default roles."""
    names = {each.name for each in fields(CallLimits)} - {"roles"}
    same: dict[str, Any] = {name: getattr(settings, name) for name in names}
    roles = {"inbound": settings.inbound_role, "outbound": settings.outbound_role}
    return CallLimits(**same, roles=dict(roles))
