"""`./run up`: keeps the local stack running."""

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
_DEFAULT_REDIS: Final = f"redis://{local.HOST}:{local.Ports().redis}/0"


def up(
    redis_url: Annotated[
        str | None, typer.Option(help="Use this Redis instead of starting one.")
    ] = None,
) -> None:
    """Keep a local stack running until Ctrl-C.

    If a default port is in use, a free one is used instead.
    """
    settings = local.StackSettings(
        ports=local.Ports().or_free(), redis_url=redis_url, with_pages=True
    )
    running.run(_up(settings))


async def _up(settings: local.StackSettings) -> None:
    if settings.redis_url:
        await events.require(settings.redis_url)
    console = Console(highlight=False)
    async with contextlib.AsyncExitStack() as cleanup:
        with showing(console, "Starting Valkey, speech engine, endpoint, gateway and workers"):
            stack = await _start(settings, cleanup)
        ports, defaults = stack.settings.ports, local.Ports()
        for part, port in asdict(ports).items():
            default = getattr(defaults, part)
            if port != default and not (part == "redis" and settings.redis_url):
                console.print(
                    f"Port {default} is in use: the {part} listens on {port}.", soft_wrap=True
                )
        # The URL of the user's Redis may contain a password.
        redis = "the one of --redis-url" if settings.redis_url else stack.redis_url
        tail = " --redis-url ..." if settings.redis_url else f" --redis-url {stack.redis_url}"
        tail = "" if stack.redis_url == _DEFAULT_REDIS else tail
        words = " ".join(f"{name}={value}" for name, value in stack.word_settings.items())
        call = "" if ports.gateway == defaults.gateway else f" --url {stack.media_url}"
        console.print(
            f"gateway    {stack.media_url}  (private: http://{local.HOST}:{ports.admin}/metrics)\n"
            f"Redis      {redis}\n"
            f"endpoint   https://localhost:{ports.endpoint}  bridge :{ports.bridge}  "
            f"engine :{ports.engine}\n"
            f"logs       {stack.folder}\n"
            f"\nOpen the live pages (the link works on this machine, while this runs):\n"
            f"  {stack.page_link()}\n"
            f"\nNext, in other terminals (Ctrl-C here stops everything):\n"
            f"  ./run tail{tail}\n"
            f"  ./run call{call}\n"
            "To search and export these calls while this runs:\n"
            f"  export {words}\n"
            "  ./run search hello\n"
            f"  ./run export CALL_ID{tail}\n"
            "To stream a recording directly to the endpoint:\n"
            f"  AWS_ACCESS_KEY_ID={local.ACCESS_KEY_ID} "
            f"AWS_SECRET_ACCESS_KEY={local.SECRET_ACCESS_KEY} AWS_REGION={local.REGION} \\\n"
            f"  ./run transcribe FILE --endpoint {local.ENDPOINT_NAME} "
            f"--endpoint-url https://localhost:{ports.endpoint} --ca-file {stack.ca_file}",
            soft_wrap=True,
        )
        await stack.until_failed()


async def _start(settings: local.StackSettings, cleanup: contextlib.AsyncExitStack) -> local.Stack:
    """Start the stack; retry if another process took one of its ports meanwhile."""
    for _ in range(_STARTS - 1):
        try:
            return await cleanup.enter_async_context(local.running(settings))
        except ProcessFailed:
            if not settings.ports.in_use():
                raise
            settings = replace(settings, ports=settings.ports.or_free())
    return await cleanup.enter_async_context(local.running(settings))
