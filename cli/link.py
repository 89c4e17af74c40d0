"""`./run link`: creates a link to live transcripts."""

import re
import secrets
import time
from typing import Annotated, Final

import typer

from cli.errors import CommandError
from common.settings import load
from gateway.transcript.encode import rfc3339_ms
from workers.relay.settings import Settings as RelaySettings
from workers.relay.sign_in.links import Grant, mint, single_scope
from workers.relay.sign_in.settings import Settings
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import Role, Text

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,7})([smhd])")


def link(
    call: Annotated[
        str | None, typer.Option("--call", help="Only this call: its call_id, as in events.")
    ] = None,
    route: Annotated[str | None, typer.Option(help="Only calls of this route.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only calls of this tenant.")] = None,
    all_calls: Annotated[bool, typer.Option("--all", help="All calls.")] = False,
    redacted: Annotated[
        bool, typer.Option("--redacted/--raw", help="Which text the link shows.")
    ] = True,
    role: Annotated[Role, typer.Option(help="The viewer's role.")] = Role.AGENT,
    duration: Annotated[
        str, typer.Option("--for", help="How long the link is valid: 30m, 8h, 7d.")
    ] = "8h",
    name: Annotated[
        str, typer.Option(help="Who the link is for, for the page and the audit log.")
    ] = "guest",
) -> None:
    """Print a link to live transcripts. Needs WORKER_RELAY_SECRET and exactly one scope."""
    settings = load(Settings, (RelaySettings,))
    if not settings.secret:
        raise CommandError("WORKER_RELAY_SECRET is not set; the relay has the same one")
    try:
        scope = single_scope(call, route, tenant, is_all=all_calls)
        text = Text.REDACTED if redacted else Text.RAW
        grant = Grant(scope, role, text, name, duration_s(duration))
    except ValueError as error:
        raise CommandError(str(error)) from None
    keys = Keyring([each.get_secret_value() for each in settings.secret])
    made = mint(keys, grant, link_id=secrets.token_hex(8), now_s=time.time())
    typer.echo(made.url(settings.public_url))
    until = rfc3339_ms(made.viewer.expires_s)
    typer.echo(f"{text} text, role {role}, until {until}, {made.viewer.subject}", err=True)


def duration_s(text: str) -> int:
    """Return a duration in seconds.

    Raises:
        ValueError: the text is not a number with a unit.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("the duration must be a number with a unit: 30m, 8h, 7d")
    return int(found[1]) * _UNITS_S[found[2]]
