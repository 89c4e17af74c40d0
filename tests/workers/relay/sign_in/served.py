"""Sign-in served on loopback, with a page that shows who is signed in."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, CookieJar, web
from prometheus_client import CollectorRegistry

from common.serving import listening
from gateway.redis_client.client import create_client
from tests.redis_servers import free_port
from workers.relay.sign_in.assembly import signing_in
from workers.relay.sign_in.cross_site import HEADER, VALUE
from workers.relay.sign_in.settings import Settings

SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret"
OWN = {HEADER: VALUE}
ADMIN_TOKENS = '{"crm": {"token": "hush-0123456789abcdef", "scopes": ["links"]}}'


@dataclass(frozen=True, slots=True)
class Relay:
    """A served relay and its settings."""

    url: str
    settings: Settings


def settings(**values: Any) -> Settings:
    """Return settings that read no environment."""
    return Settings(_env_file=None, **values)


@contextlib.asynccontextmanager
async def serving(redis_url: str, **values: Any) -> AsyncIterator[Relay]:
    """Serve sign-in. `/whoami` returns the viewer's name; the private port is at `/private`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    made = settings(public_url=url, **values)
    client = create_client(redis_url, timeout_s=0.3)
    app = web.Application()
    async with (
        contextlib.aclosing(client),
        signing_in(made, client, CollectorRegistry()) as sign_in,
    ):

        async def whoami(request: web.Request) -> web.Response:
            return web.Response(text=(await sign_in.gate.viewer_of(request)).name)

        sign_in.add_to(app)
        app.router.add_route("*", "/whoami", whoami)
        private = web.Application()
        sign_in.add_links_to(private)
        app.add_subapp("/private", private)
        async with listening(app, "127.0.0.1", port):
            yield Relay(url, made)


@contextlib.asynccontextmanager
async def browser(relay: Relay) -> AsyncIterator[ClientSession]:
    """Open a client with cookies, which treats loopback as secure, as browsers do."""
    jar = CookieJar(unsafe=True, treat_as_secure_origin=relay.url)
    async with ClientSession(base_url=relay.url, cookie_jar=jar) as client:
        yield client
