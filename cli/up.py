"""`./run up`: keep the local stack running."""

import contextlib
from dataclasses import asdict, replace
from typing import Annotated, Final

import typer
from rich.console import Console

from cli import events, running
from cli.view import showing
from deploy.local import stack as local
from deploy.local.processes import ProcessFailed

_STARTS: Final = 3
_USUAL_REDIS: Final = f"redis://{local.HOST}:{local.Ports().redis}/0"


def up(
    redis_url: Annotated[
        str | None, typer.Option(help="Use this Redis instead of one of the stack's own.")
    ] = None,
) -> None:
    """Keep the whole path running on this machine until Ctrl-C.

    Where a usual port is taken, a free one is used in its place.
    """
    settings = local.StackSettings(ports=local.Ports().or_free(), redis_url=redis_url)
    running.run(_up(settings))


async def _up(settings: local.StackSettings) -> None:
    if settings.redis_url:
        await events.require(settings.redis_url)
    console = Console(highlight=False)
    async with contextlib.AsyncExitStack() as cleanup:
        with showing(console, "Starting Valkey, speech engine, bridge, endpoint and gateway"):
            stack = await _start(settings, cleanup)
        ports, usual = stack.settings.ports, local.Ports()
        for part, port in asdict(ports).items():
            taken = getattr(usual, part)
            if port != taken and not (part == "redis" and settings.redis_url):
                console.print(f"Port {taken} is taken: the {part} takes {port}.", soft_wrap=True)
        # The URL of somebody's own Redis may hold a password.
        redis = "as given by --redis-url" if settings.redis_url else stack.redis_url
        tail = " --redis-url ..." if settings.redis_url else f" --redis-url {stack.redis_url}"
        tail = "" if stack.redis_url == _USUAL_REDIS else tail
        call = "" if ports.gateway == usual.gateway else f" --url {stack.media_url}"
        console.print(
            f"gateway    {stack.media_url}  (private: http://{local.HOST}:{ports.admin}/metrics)\n"
            f"Redis      {redis}\n"
            f"endpoint   https://localhost:{ports.endpoint}  bridge :{ports.bridge}  "
            f"engine :{ports.engine}\n"
            f"logs       {stack.folder}\n"
            f"\nNext, in other terminals; Ctrl-C here ends it all:\n"
            f"  ./run tail{tail}\n"
            f"  ./run call{call}\n"
            "The endpoint alone, with a recording of yours:\n"
            f"  AWS_ACCESS_KEY_ID={local.ACCESS_KEY_ID} "
            f"AWS_SECRET_ACCESS_KEY={local.SECRET_ACCESS_KEY} AWS_REGION={local.REGION} \\\n"
            f"  ./run transcribe FILE --endpoint {local.ENDPOINT_NAME} "
            f"--endpoint-url https://localhost:{ports.endpoint} --ca-file {stack.ca_file}",
            soft_wrap=True,
        )
        await stack.until_failed()


async def _start(settings: local.StackSettings, cleanup: contextlib.AsyncExitStack) -> local.Stack:
    """Start the stack; again, if somebody took a port while it did."""
    for _ in range(_STARTS - 1):
        try:
            return await cleanup.enter_async_context(local.running(settings))
        except ProcessFailed:
            if not settings.ports.in_use():
                raise
            settings = replace(settings, ports=settings.ports.or_free())
    return await cleanup.enter_async_context(local.running(settings))
