"""Creates the relay from its settings."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from aiohttp import ClientSession, DummyCookieJar, web
from prometheus_client import CollectorRegistry

from common import serving
from common.resources import Descriptors
from common.settings import SettingsError
from gateway.redis_client.client import RedisClient
from workers.governance.assembly import relay_governance
from workers.relay.alerts import AlertBook
from workers.relay.api import Api
from workers.relay.assist import Assist
from workers.relay.channel import Channel
from workers.relay.directory import Directory
from workers.relay.erasing import Erasing
from workers.relay.gateways import Gateways
from workers.relay.hub import Hub
from workers.relay.metrics import Metrics
from workers.relay.pages import add_pages
from workers.relay.settings import Settings
from workers.relay.sign_in.assembly import signing_in
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.relay.sign_in.viewer import Text
from workers.relay.store import Store
from workers.relay.wrapups import WrapupRequests
from workers.search.index import SearchIndexError, SearchReader
from workers.search.indexes import open_to_read
from workers.search.settings import Settings as SearchSettings

_SILENT_S: Final = 86_400.0  # without an event, a live call leaves the list
_MAX_BODY: Final = 8192


@contextlib.asynccontextmanager
async def relay(
    settings: Settings,
    sign_in_settings: SignInSettings,
    client: RedisClient,
    partitions: int,
    registry: CollectorRegistry,
    private: web.Application,
    search: SearchSettings | None = None,
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
    """Serve the pages and the API for as long as the context lasts; yield what reads the events.

    Args:
        settings: what the relay shows, and where.
        sign_in_settings: who may see it.
        client: from `create_client`; its creator closes it.
        partitions: the number of partitions, fixed at installation.
        registry: collects the metrics.
        private: the application of the private port, not yet started; gets `POST /links`.
        search: the indexes of all calls; None: there are none.

    Raises:
        SettingsError: a setting is invalid, or the port is in use.
    """
    metrics, store, alerts = Metrics(registry), Store(client, partitions), AlertBook()
    channels = {
        text: Channel(text, store, Directory(settings.ended_s, _SILENT_S), alerts, metrics)
        for text in map(Text, settings.text.kinds)
    }
    app = web.Application(client_max_size=_MAX_BODY)
    async with (
        signing_in(sign_in_settings, client, registry) as sign_in,
        ClientSession(cookie_jar=DummyCookieJar()) as http,
        _open_indexes(search, settings) as indexes,
    ):
        sign_in.add_to(app)
        sign_in.add_links_to(private)
        token = settings.gateway_token.get_secret_value() if settings.gateway_token else ""
        hub = Hub(client, store, list(channels.values()), metrics)
        governance = relay_governance(client, partitions)
        erasing = Erasing(governance, channels, sign_in, metrics)
        erasing.add_to(app)
        assist = Assist(client, partitions, list(channels.values()), alerts, metrics)
        Api(
            channels=channels,
            ready=hub.ready,
            assist=assist,
            store=store,
            client=client,
            sign_in=sign_in,
            gateways=Gateways(http, settings.gateway_urls, token, settings.media_url),
            microphone_route=settings.microphone_route,
            max_viewers=settings.max_viewers,
            wrapups=WrapupRequests(client, store),
            metrics=metrics,
            ledger=governance.ledger,
            indexes=indexes,
        ).add_to(app)
        add_pages(app, settings.media_url)
        async with serving.listening(app, settings.host, settings.port, Descriptors()):
            yield lambda: _run(hub, assist, erasing)


@contextlib.asynccontextmanager
async def _open_indexes(
    search: SearchSettings | None, settings: Settings
) -> AsyncIterator[dict[Text, SearchReader]]:
    """Open the indexes of the kinds of text that the relay shows; none of another kind."""
    async with contextlib.AsyncExitStack() as cleanup:
        indexes: dict[Text, SearchReader] = {}
        for kind in map(Text, settings.text.kinds):
            if search is None or kind not in search.text.kinds:
                continue
            try:
                indexes[kind] = await open_to_read(search, kind)
            except SearchIndexError as error:
                raise SettingsError(f"WORKER_SEARCH_DATABASE_URL: {error}") from None
            cleanup.push_async_callback(indexes[kind].close)
        yield indexes


async def _run(hub: Hub, assist: Assist, erasing: Erasing) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.run())
        group.create_task(assist.run())
        group.create_task(erasing.hide_forever())
