"""The receivers of docs/push.md accept what the worker sends, and its Redis user is enough."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

import deploy
from gateway.redis_client.client import create_client
from tests.npm import installed
from tests.redis_servers import free_port
from tests.workers.push.pushing import (
    PARTITIONS,
    SECRET,
    alert,
    final,
    running,
    settled,
    started,
    wrapup,
    write,
    write_file,
)
from tests.workers.push.receiver import receiving, status
from workers.push import replay
from workers.push.endpoints import EndpointStates
from workers.push.outbox import Limits, Outbox
from workers.push.subscriptions import SOURCES, Subscription, Text

_ROOT: Final = Path(__file__).parents[3]
_PAGE: Final = (_ROOT / "docs/push.md").read_text("utf-8")
_PROGRAM: Final = re.compile(r"^```(?:python|js)\n((?:#|//) (\w+\.\w+): .*?)^```", re.S | re.M)
_PROGRAMS: Final = {name: text for text, name in _PROGRAM.findall(_PAGE)}


@contextlib.asynccontextmanager
async def receiver(name: str, folder: Path) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """Run a receiver of the page; yield its URL and what it prints."""
    (folder / name).write_text(_PROGRAMS[name])
    interpreter = sys.executable
    if name.endswith(".mjs"):
        interpreter = "node"
        (folder / "node_modules").symlink_to(installed("standardwebhooks", "1.1.1").parent)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(interpreter, name),
        cwd=folder,
        env={**os.environ, "PORT": str(port), "WEBHOOK_SECRET": SECRET, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(20):
            while not await _listens(port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}/hooks/callscribe", process.stdout
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


def test_page_has_the_programs() -> None:
    assert sorted(_PROGRAMS) == ["receiver.mjs", "receiver.py"]


@pytest.mark.parametrize("name", ["receiver.py", "receiver.mjs"])
async def test_receiver_of_the_page_verifies_and_prints(
    name: str, redis_url: str, tmp_path: Path
) -> None:
    async with receiver(name, tmp_path) as (url, printed):
        forged = {"url": url, "secrets": ["file:other"]}
        path = write_file(tmp_path, {"crm": {"url": url}, "forged": forged})
        async with running(redis_url, path) as client:
            await write(client, final("CA1", 2, text="héllo", role="customer"))
            (accepted,) = await settled(client, "crm", 1)
            (refused, *_) = await settled(client, "forged", 1)
            async with asyncio.timeout(20):
                lines = [await printed.readline()]
                while b"CA1" not in lines[-1]:
                    lines.append(await printed.readline())
    assert lines[-1].decode() == "CA1 customer héllo\n"
    assert (accepted.step, accepted.status, refused.status) == ("delivered", accepted.status, "401")


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_nodes"])
async def test_user_of_push_has_all_permissions_it_needs(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    found = request.getfixturevalue(fixture)
    nodes = [found] if isinstance(found, str) else list(found)
    lines = (Path(deploy.__path__[0]) / "redis/users.acl").read_text().splitlines()
    (rules,) = [line.split()[2:] for line in lines if line.startswith("user push ")]
    url = nodes[0] if len(nodes) == 1 else nodes[0].replace("redis://", "redis+cluster://")
    limited = url.replace("://", "://push:replace-me-push@")
    clients: list[Any] = [create_client(each) for each in nodes]
    try:
        for each in clients:
            await each.flushall()
            await each.execute_command("ACL", "SETUSER", "push", *rules)
            await each.execute_command("ACL", "LOG", "RESET")
        await _use_everything(url, limited, tmp_path)
        refused = [entry for each in clients for entry in await each.acl_log()]
        assert [entry["object"] for entry in refused] == []
    finally:
        for each in clients:
            await each.execute_command("ACL", "DELUSER", "push")
            await each.aclose()


async def _use_everything(url: str, limited: str, folder: Path) -> None:
    """Deliver, fail, give up, disable, look and replay."""
    types = ["transcript.final", "call.ended", "assist.alert", "assist.wrapup"]
    async with receiving() as healthy, receiving(status(500)) as failing:
        path = write_file(
            folder,
            {
                "crm": {"url": healthy.url, "types": types},
                "redacted": {"url": healthy.url, "types": types, "text": "redacted"},
                "bad": {"url": failing.url},
            },
        )
        async with (
            contextlib.aclosing(create_client(url)) as admin,
            running(limited, path, budget_s=0.01, disable_after_s=0.01),
        ):
            for source in ("events", "redacted"):
                await write(admin, started("CA1"), source)
                await write(admin, final("CA1", 2), source)
            await write(admin, alert("CA1", 2), "alerts")
            await write(admin, wrapup("CA1", 2), "wrapups")
            await write(admin, wrapup("CA1", 2, wrapup="w2"), "redacted-wrapups")
            await settled(admin, "crm", 4)
            await settled(admin, "redacted", 3)
            await settled(admin, "bad", 1)
        async with contextlib.aclosing(create_client(limited)) as client:
            outbox = Outbox(client, Limits(), "run push")
            types_of_all = frozenset[str]().union(*(kinds for _, kinds in SOURCES.values()))
            subscription = Subscription("crm", types_of_all, Text.RAW)
            counts = [
                await replay.from_events(client, outbox, subscription, each, "0")
                for each in range(PARTITIONS)
            ]
            assert sum(counts) == 5  # and the start of the stream
            await outbox.waiting(range(PARTITIONS), ["crm", "bad"])
            for each in range(PARTITIONS):
                await replay.from_dead_letters(client, outbox, "bad", each)
                await outbox.restart(each, "bad")
            states = EndpointStates(client, ["bad"])
            await states.read()
            await states.enable("bad")
