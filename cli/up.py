"""`./run up`: keep the local stack running."""

from typing import Annotated

import typer
from rich.console import Console

from cli import events, running
from cli.errors import CommandError
from deploy.local import stack as local


def up(
    redis_url: Annotated[
        str | None, typer.Option(help="Use this Redis instead of one of the stack's own.")
    ] = None,
) -> None:
    """Keep the whole path running on this machine until Ctrl-C."""
    settings = local.StackSettings(redis_url=redis_url)
    unused = {"redis"} if redis_url else set()
    if taken := [part for part in settings.ports.in_use() if part.split()[0] not in unused]:
        raise CommandError(f"ports in use: {', '.join(taken)}")
    running.run(_up(settings))


async def _up(settings: local.StackSettings) -> None:
    if settings.redis_url:
        await events.require(settings.redis_url)
    console = Console()
    console.print("Starting ...", style="dim")
    async with local.running(settings) as stack:
        ports = settings.ports
        console.print(
            f"gateway    {stack.media_url}  (private: http://{local.HOST}:{ports.admin}/metrics)\n"
            f"Redis      {stack.redis_url}\n"
            f"endpoint   https://localhost:{ports.endpoint}  bridge :{ports.bridge}  "
            f"engine :{ports.engine}\n"
            f"logs       {stack.folder}\n"
            "Next: ./run tail, and in another terminal ./run call. Ctrl-C ends it.\n"
            "The endpoint alone, with a WAV of yours:\n"
            f"  AWS_ACCESS_KEY_ID={local.ACCESS_KEY_ID} "
            f"AWS_SECRET_ACCESS_KEY={local.SECRET_ACCESS_KEY} AWS_REGION={local.REGION} \\\n"
            f"  ./run transcribe WAV --endpoint {local.ENDPOINT_NAME} "
            f"--endpoint-url https://localhost:{ports.endpoint} --ca-file {stack.ca_file}",
            highlight=False,
            soft_wrap=True,
        )
        await stack.until_failed()
