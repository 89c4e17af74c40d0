"""Every shell command of the pages is run, in the order of its page, on a newcomer's machine.

A command that needs more than this machine has is run without it: it must fail for lack of it, as
its page says, and for no other reason.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from cli.callers.call import MULAW_SILENCE, RATE_HZ, Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.twilio import Twilio
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import Part, RunningPart, answers
from tests.docs.blocks import NEEDS, PAGES, ROOT, Block, blocks, read
from tests.docs.machine import Machine, Probe
from tests.redis_servers import free_port
from workers.relay.sign_in.links import Grant, mint
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Text

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

# Commands that run until they are stopped, and what shows that they work: a text, or a page.
RUN_ON: Final = {
    r"python -m gateway$": "GATEWAY_ADMIN_PORT/readyz",
    r"python -m workers .*relay": "WORKER_RELAY_PORT/open",
    r"python -m workers ": "WORKER_METRICS_PORT/healthz",
    r"\./run tail": "Following",
    r"curl .* -N ": "data:",
}
STOPPED: Final = (0, 130, -15)  # the exit codes of programs that SIGTERM ends
# Options that let a command use this machine's ports, or end sooner.
ADDED: Final = {
    r"\./run demo(?!.*--inbound)": "--inbound CALL.wav",
    r"\./run call(?!.*--url)": "--inbound CALL.wav --url MEDIA_URL",
    r"\./run call.*--url": "--inbound CALL.wav",
    r"\./run tail(?!.*--redis-url)": "--redis-url rediss://…",
    r"\./run govern(?!.*--redis-url)": "--redis-url rediss://…",
    r"\./run bench": "--calls 1 --seconds 1",
    r"\./run faults": '--only "reset bridge-engine before start" --jobs 1',
}
ABOUT_A_GATEWAY: Final = {"admin.md", "settings.md"}  # which is configured as the README says
PRINTED: Final = {r"curl -i .*/voice/twilio": "403 Forbidden"}
ELSEWHERE: Final = {
    *(ROOT / ".ci/run").read_text(encoding="utf-8").splitlines(),
    *(
        command
        for file in ROOT.glob("tests/*/test_*.py")
        if file.parent != Path(__file__).parent
        for command in re.findall(r'documented\("[^"]+", "([^"]+)"\)', file.read_text("utf-8"))
    ),
}
# What commands of several pages have printed, with the settings that they were run with.
ALREADY: Final[dict[tuple[str, str], str]] = {}
TOKEN: Final = "token-of-this-machine"
SECRET: Final = "secret-of-this-machine-" * 2
CALL_S: Final = 100  # longer than a page takes
CALLS: Final = ("CA92cc0621509fa71b654c71aa6614d099", "CA92cc1f", "CALL_ID")
COMMANDS: Final = "commands.socket"
NOWHERE: Final = "ws://127.0.0.1:9"
# The pages with commands; the last one ends with the gateway's drain.
WALKS: Final = sorted(
    (page for page in PAGES if any([*block.commands()] for block in read(page))),
    key=lambda page: page.name == "admin.md",
)


class ProgramMissing(Exception):  # noqa: N818 (named like an event)
    """A program of a command is not installed here."""


def link_token() -> str:
    grant = Grant(ALL_CALLS, Role.SUPERVISOR, Text.REDACTED, "you", 3600)
    made = mint(Keyring([SECRET]), grant, link_id="0" * 16, now_s=time.time())
    return made.url("").partition("#")[2]


async def start_workers(stack: local.Stack) -> RunningPart:
    ports = stack.settings.ports
    settings = {
        "WORKER_REDIS_URL": stack.redis_url,
        "WORKER_METRICS_PORT": str(ports.workers),
        "WORKER_RELAY_PORT": str(ports.relay),
        "WORKER_RELAY_PUBLIC_URL": stack.relay_url,
        "WORKER_RELAY_SECRET": SECRET,
        "WORKER_RELAY_ADMIN_TOKENS": json.dumps({"crm": {"token": TOKEN, "scopes": ["links"]}}),
    }
    argv = (sys.executable, "-m", "workers", "janitor", "redact", "relay")
    ready = answers(local.HOST, ports.relay, "/open")
    part = await RunningPart.start(Part("workers", argv, settings, ready), stack.folder)
    await part.until_ready(30)
    return part


async def start_commands(folder: Path) -> RunningPart:
    """Start the process that runs `./run` commands."""
    path = folder / COMMANDS

    async def ready() -> bool:
        return path.is_socket()

    argv = (sys.executable, "-P", "-m", "tests.docs.preloaded", str(path))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    part = await RunningPart.start(Part("commands", argv, environment, ready), folder)
    await part.until_ready(30)
    return part


@contextlib.asynccontextmanager
async def live_call(stack: local.Stack) -> AsyncIterator[str]:
    """Place a call that lasts; yield its id when it has begun."""
    silence = MULAW_SILENCE * RATE_HZ * CALL_S
    call = Call({"inbound": silence, "outbound": silence})
    async with aiohttp.ClientSession() as http:
        gateway = Gateway(stack.media_url, stack.public_url)
        playing = asyncio.create_task(place(http, gateway, Twilio(CREDENTIALS), call))
        while call.frames < 10:
            assert not playing.done()
            await asyncio.sleep(0.02)
        yield call.call_id
        playing.cancel()
        await asyncio.wait([playing])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[local.Stack]:
    scopes = ["read", "terminate", "drain", "mint"]
    settings = local.StackSettings(
        ports=local.Ports.free(),
        engine_model="checksum",
        endpoint={"ENDPOINT_NAMES": "my-voxtral,voxtral,callscribe"},
        gateway={"GATEWAY_ADMIN_TOKENS": json.dumps({"all": {"token": TOKEN, "scopes": scopes}})},
    )
    async with local.running(settings) as running:
        parts = [await start_workers(running), await start_commands(running.folder)]
        yield running
        for part in parts:
            await part.end()
        with contextlib.suppress(ProcessLookupError):  # a command that did not end in time
            os.killpg(parts[-1].pid, signal.SIGKILL)


def names(stack: local.Stack, call_id: str) -> dict[str, str]:
    """Return what the names in the pages stand for; longer names first."""
    ports = stack.settings.ports
    return {
        "redis://:callscribe-on-this-machine@127.0.0.1:6379/0": stack.redis_url,
        "redis://:$CALLSCRIBE_REDIS_PASSWORD@127.0.0.1:6379/0": stack.redis_url,
        "rediss://…": stack.redis_url,
        "MEDIA_URL": stack.media_url,
        "https://gw.example.com/voice": f"http://127.0.0.1:{ports.gateway}/voice",
        "wss://gw.example.com": stack.media_url,
        "https://relay.example.com/api": f"{stack.relay_url}/api",
        "http://127.0.0.1:9000": f"http://127.0.0.1:{ports.admin}",
        "http://10.0.0.7:9101": f"http://127.0.0.1:{ports.workers}",
        "ws://gpu-host:8000": NOWHERE,
        "ws://10.0.0.5:8001": NOWHERE,
        **dict.fromkeys(CALLS, call_id),
        "eyJhbGci…": link_token(),
        "$TOKEN": TOKEN,
        "/srv/callscribe": ".",
        "file:///var/lib/callscribe": f"file://{stack.folder}",
    }


@pytest_asyncio.fixture(loop_scope="module")
async def machine(stack: local.Stack, page: Path, tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine for a page, and a call if a command of the page names one."""
    account = {
        "GATEWAY_SAGEMAKER_URL": f"https://localhost:{stack.settings.ports.endpoint}",
        "GATEWAY_SAGEMAKER_CA_FILE": str(stack.ca_file),
        "AWS_ACCESS_KEY_ID": local.ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": local.SECRET_ACCESS_KEY,
    }
    named = ("GATEWAY_PORT", "GATEWAY_ADMIN_PORT", "WORKER_METRICS_PORT", "WORKER_RELAY_PORT")
    own = {name: str(free_port()) for name in named} | {"GATEWAY_SPOOL_DIR": str(tmp_path)}
    commands = " ".join(each for block in read(page) for each in block.commands())
    async with contextlib.AsyncExitStack() as cleanup:
        call_id = "none"
        if any(name in commands for name in CALLS):
            call_id = await cleanup.enter_async_context(live_call(stack))
        yield Machine.make(
            tmp_path,
            stack.folder / COMMANDS,
            here=names(stack, call_id),
            account=account,
            variables=own,
        )


def matching(table: dict[str, str], command: str) -> str | None:
    """Return the entry of a table whose pattern a command matches."""
    return next((text for pattern, text in table.items() if re.search(pattern, command)), None)


def works(machine: Machine, sign: str) -> Probe:
    """Return the probe for a sign: a page that is served, or a text that is printed."""
    port, _, path = sign.partition("/")

    async def has_printed(text: str) -> bool:
        return sign in text

    if not path:
        return has_printed
    served = answers(local.HOST, int(machine.variables[port]), f"/{path}")
    return lambda _: served()


async def run(machine: Machine, command: str) -> str:
    """Run a command that needs nothing more; return what it printed."""
    added = matching(ADDED, command)
    own = machine.localize(f"{command.rstrip()} {added}" if added else command)
    key = (own, "" if "--check" in own else machine.settings)
    if key in ALREADY:
        return ALREADY[key]
    sign = matching(RUN_ON, command)
    done = await machine.run(own, until=works(machine, sign) if sign else None)
    assert done.code in (STOPPED if sign else (0,)), (command, done)
    assert "redis-unavailable" not in done.errors, (command, done)
    assert (matching(PRINTED, command) or "") in done.output, (command, done)
    if re.match(r"\./run|.* --check", own):
        ALREADY[key] = done.output
    return done.output


async def run_without(machine: Machine, command: str, block: Block) -> bool:
    """Run a command without what it needs; return whether it failed for lack of that."""
    done = await machine.run(machine.localize(command), lacks=True)
    if missing := re.search(r"\w+: (?:not installed|command not found)", done.errors):
        raise ProgramMissing(missing[0])
    lacks = any(re.search(NEEDS[need], done.errors) for need in block.needs if need in NEEDS)
    assert lacks or done.code == 0, (command, done)
    return lacks


async def run_block_without(machine: Machine, block: Block, commands: list[str]) -> None:
    """Run a block without what it needs; one of its commands must fail for lack of it."""
    lacking = [await run_without(machine, each, block) for each in commands]
    assert any(lacking), f"needs nothing: {block.text}"


def shape(value: Any) -> Any:
    """Return the names in a JSON document."""
    match value:
        case dict():
            return {name: shape(each) for name, each in value.items()}
        case [first, *_]:
            return [shape(first)]
        case _:
            return None


async def walk(machine: Machine, listed: list[Block]) -> set[str]:
    """Run a page's commands in their order; return which programs this machine does not have."""
    missing: set[str] = set()
    printed = ""
    for block in listed:
        commands = [each for each in block.commands() if each not in ELSEWHERE]
        if block.language == "dotenv":
            machine.configure(block.text)
        elif block.language == "json" and printed.startswith("{"):
            assert shape(json.loads(printed)) == shape(json.loads(block.text))
        elif block.needs:
            try:
                await run_block_without(machine, block, commands)
            except ProgramMissing as error:
                missing.add(str(error))
        printed = ""
        if not block.needs:
            for command in commands:
                printed = await run(machine, command)
    return missing


@pytest.mark.parametrize("page", WALKS, ids=lambda page: page.name)
async def test_commands_run(page: Path, machine: Machine) -> None:
    """The newcomer has only the page, unless it is about a gateway that is already configured."""
    if page.name in ABOUT_A_GATEWAY:
        for block in read(ROOT / "README.md"):
            if block.language == "dotenv":
                machine.configure(block.text)
    if missing := await walk(machine, read(page)):
        pytest.skip("; ".join(sorted(missing)))


@pytest.mark.parametrize(
    "text",
    [
        "```sh\ncurl --no-such-option\n```",
        "```sh\ndocker push demo\n```",
        "Needs: Docker.\n```sh\ndocker compose up --no-such-option\n```",
        "Needs: Docker.\n```sh\ntrue\n```",
        "Needs: a GPU.\n```sh\nfalse\n```",
        "Needs: an AWS account.\n```sh\naws ecr create-repository --no-such-option x\n```",
        "Needs: an AWS account.\n```sh\naws ecr create-repository\n```",
        "Needs: a Kubernetes cluster.\n```sh\nhelm upgrade demo no/such/chart\n```",
    ],
)
async def test_wrong_commands_and_wrong_needs_are_found(text: str, tmp_path: Path) -> None:
    machine = Machine.make(tmp_path, tmp_path / COMMANDS, here={}, account={}, variables={})
    with pytest.raises(AssertionError):
        await walk(machine, blocks(text))
