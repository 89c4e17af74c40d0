"""A relay in this process, viewers who are signed in to it, and a gateway's events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import ClientResponse, ClientSession, CookieJar, TCPConnector, web
from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.encode import rfc3339_ms
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import free_port
from tests.workers.client.stories import fields
from workers.relay.assembly import relay
from workers.relay.settings import Settings
from workers.relay.sign_in.cross_site import HEADER, VALUE
from workers.relay.sign_in.links import Grant, mint
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Scope, Text
from workers.search.settings import Settings as SearchSettings

SECRET: Final = "s3cret-s3cret-s3cret-s3cret-s3cret"
PATIENCE_S: Final = 20.0
_POSITION: Final[dict[str, Any]] = {
    "track": "inbound",
    "role": "customer",
    "rev": 0,
    "start_ms": 0,
}


@dataclass(frozen=True, slots=True)
class ARelay:
    """A running relay."""

    url: str
    registry: CollectorRegistry

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value."""
        return self.registry.get_sample_value(f"callscribe_relay_{name}", labels) or 0.0


def link_token(
    scope: Scope = ALL_CALLS, role: Role = Role.SUPERVISOR, text: Text = Text.RAW, **more: Any
) -> str:
    """Return the token of a new link."""
    grant = Grant(scope, role, text, "ann", more.pop("lifetime_s", 3600))
    now_s = more.pop("now_s", time.time())
    return mint(Keyring([SECRET]), grant, link_id="0123456789abcdef", now_s=now_s).token


@contextlib.asynccontextmanager
async def running(
    redis_url: str,
    *,
    port: int = 0,
    sign_in: Mapping[str, Any] | None = None,
    search: SearchSettings | None = None,
    **values: Any,
) -> AsyncIterator[ARelay]:
    """Run a relay that reads raw text, unless the settings say otherwise."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(_env_file=None, port=port, **{"text": "raw", **values})
    own = SignInSettings(_env_file=None, secret=SECRET, public_url=url, **(sign_in or {}))
    client, registry = create_client(redis_url), CollectorRegistry()
    async with (
        contextlib.aclosing(client),
        relay(settings, own, client, 64, registry, web.Application(), search) as run,
    ):
        task = asyncio.ensure_future(run())
        try:
            yield ARelay(url, registry)
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()


@dataclass(slots=True)
class Message:
    """A message as a viewer receives it."""

    id: str
    name: str
    data: Any


@dataclass(slots=True)
class Viewer:
    """Someone who is signed in."""

    http: ClientSession

    async def json(self, path: str) -> Any:
        """Return the JSON of a successful response."""
        async with self.http.get(path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def search(self, query: str) -> Any:
        """Return the calls in which something was said."""
        async with self.http.post("/api/search", json={"q": query}) as response:
            assert response.status == 200, await response.text()
            return (await response.json())["calls"]

    async def status(self, path: str, method: str = "GET", **more: Any) -> int:
        """Return the status of a response."""
        async with self.http.request(method, path, **more) as response:
            return response.status

    @contextlib.asynccontextmanager
    async def open(self, path: str, after: str = "") -> AsyncIterator["Feed"]:
        """Open a feed."""
        headers = {"Last-Event-ID": after} if after else {}
        async with self.http.get(path, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Feed(response)

    async def read(self, path: str, after: str = "") -> list[Message]:
        """Return all messages of a feed that ends."""
        async with self.open(path, after) as feed:
            return [message async for message in feed.messages()]


@dataclass(slots=True)
class Feed:
    """An open feed."""

    response: ClientResponse
    received: list[Message] = field(default_factory=list)

    async def messages(self) -> AsyncIterator[Message]:
        """Yield messages until the feed ends."""
        found: dict[str, str] = {}
        async for line in self.response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                found[name] = value
            elif "data" in found:
                data = msgspec.json.decode(found["data"])
                yield Message(found.get("id", ""), found.get("event", ""), data)
                found = {}

    async def take(self, count: int) -> list[Message]:
        """Return the next messages."""
        taken: list[Message] = []
        async with asyncio.timeout(PATIENCE_S):
            async for message in self.messages():
                taken.append(message)
                if len(taken) == count:
                    break
        return taken


@contextlib.asynccontextmanager
async def viewer(a_relay: ARelay, token: str | None = None) -> AsyncIterator[Viewer]:
    """Sign a viewer in; by default one who may see all calls and raw text."""
    jar = CookieJar(unsafe=True, treat_as_secure_origin=a_relay.url)
    headers = {HEADER: VALUE}
    async with ClientSession(
        a_relay.url, cookie_jar=jar, headers=headers, connector=TCPConnector(limit=0)
    ) as http:
        body = {"token": token or link_token()}
        async with http.post("/api/session", json=body) as response:
            assert response.status == 200, await response.text()
        yield Viewer(http)


@dataclass(slots=True)
class Calls:
    """Writes events as a gateway does: to the partition's stream, then to the call's."""

    client: RedisClient
    suffix: str = ""
    numbers: dict[str, int] = field(default_factory=dict)

    async def add(self, call: str, kind: str, **own: Any) -> str:
        """Write the next event of a call; return its id."""
        n = self.numbers[call] = own.pop("n", self.numbers.get(call, 0) + 1)
        event: Any = fields(kind, n, call=call, **{"at": rfc3339_ms(time.time()), **own})
        partition = partition_of(call, 64)
        shared = partition_key(partition, self.suffix or "events")
        entry_id: Any = await self.client.xadd(shared, event)
        own_key = partition_key(partition, f"call:{call}{self.suffix and ':'}{self.suffix}")
        await self.client.xadd(own_key, event, id=entry_id)
        return str(entry_id.decode())

    async def start(self, call: str, **own: Any) -> str:
        """Write a call's first event, and its live stream."""
        live = partition_key(partition_of(call, 64), "live")
        await self.client.zadd(live, {f"{call} MZ1": 1e15})
        tracks = '[{"track":"inbound","role":"customer","encoding":"mulaw","rate":8000}]'
        return await self.add(call, "stream.started", **{"route": "r", "tracks": tracks, **own})

    async def say(self, call: str, text: str, segment: int = 1, **own: Any) -> str:
        """Write a delta."""
        position = {**_POSITION, "segment": segment, "end_ms": self.numbers[call] * 80, **own}
        return await self.add(call, "transcript.delta", text=text, **position)

    async def close(self, call: str, text: str, segment: int = 1, **own: Any) -> str:
        """Write a final."""
        position = {**_POSITION, "segment": segment, "end_ms": self.numbers[call] * 80, **own}
        return await self.add(call, "transcript.final", text=text, **position)

    async def end(self, call: str, status: str = "completed") -> str:
        """Write a call's last event."""
        live = partition_key(partition_of(call, 64), "live")
        await self.client.zrem(live, f"{call} MZ1")
        own = {"status": status, "reason": "stopped", "duration_ms": 1000, "gap_ms": 0}
        return await self.add(call, "stream.ended", **own)


@dataclass(slots=True)
class Assistants:
    """Writes alerts and wrap-ups as the workers do, with ids that no gateway uses."""

    client: RedisClient

    async def alert(self, call: str, alert: str, **own: Any) -> str:
        """Write an alert about the first segment, or with other fields; return its id."""
        cited = {"track": "inbound", "role": "customer", "segment": 1, "rev": 0}
        rule = {"rule": "refund", "rule_version": "1", "severity": "warning", "title": "Refund"}
        state = {"alert": alert, "state": "raised", "start_ms": 0, "end_ms": 400}
        event = {**cited, **rule, **state, **own}
        event = {name: value for name, value in event.items() if value is not None}
        return await self.add(call, "assist.alert", "alerts", **event)

    async def alerts(self, call: str, count: int, **own: Any) -> None:
        """Write many alerts at once."""
        raised = {"state": "raised", "rule": "r", "rule_version": "1", "severity": "info"}
        now_ms = round(time.time() * 1000)
        batch: Any = self.client.pipeline(transaction=False)
        for number in range(count):
            alert = {**raised, "alert": f"a{number}", "title": "t", "at": _now(), **own}
            event = fields("assist.alert", 1, call=call, **alert)
            for name in ("alerts", f"call:{call}:alerts"):
                batch.xadd(partition_key(partition_of(call, 64), name), event, f"{now_ms}-{number}")
        await batch.execute()

    async def wrapup(
        self, call: str, wrapup: str, *sentences: str, made_from: str = "redacted", **own: Any
    ) -> str:
        """Write a wrap-up whose sentences cite the first segment; return its id."""
        where = {"stream_id": "MZ1", "track": "inbound", "start_ms": 0, "end_ms": 400}
        cited = [{"text": each, "citations": [{**where, "segment": 1}]} for each in sentences]
        event = {"wrapup": wrapup, "made_from": made_from, "trigger": "ended", "model": "m1"}
        event |= {"summary": _json(cited), "follow_ups": "[]"}
        suffix = "redacted-wrapups" if made_from == "redacted" else "wrapups"
        return await self.add(call, "assist.wrapup", suffix, **{**event, **own})

    async def add(self, call: str, kind: str, suffix: str, **own: Any) -> str:
        """Write an event to the partition's stream of a suffix, then to the call's."""
        event: Any = fields(kind, own.pop("n", 1), call=call, **{"at": _now(), **own})
        partition = partition_of(call, 64)
        entry_id: Any = await self.client.xadd(partition_key(partition, suffix), event)
        await self.client.xadd(partition_key(partition, f"call:{call}:{suffix}"), event, entry_id)
        return str(entry_id.decode())


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> str:
    return rfc3339_ms(time.time())
