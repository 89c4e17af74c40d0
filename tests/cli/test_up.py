"""Starting the stack where ports are taken."""

import contextlib
import socket

from cli.up import _start
from deploy.local import stack as local


async def test_a_port_that_is_taken_while_it_starts() -> None:
    """Symptom: `gateway ended with code 2`, when two stacks start at once and choose alike."""
    ports = local.Ports.free()
    settings = local.StackSettings(ports=ports, engine_model="checksum")
    with socket.create_server((local.HOST, ports.gateway)):
        async with contextlib.AsyncExitStack() as cleanup:
            stack = await _start(settings, cleanup)
            assert stack.settings.ports.gateway != ports.gateway
            assert stack.settings.ports.in_use()
