"""Starting the stack while its ports are in use."""

import contextlib
import socket

from cli.up import _start
from deploy.local import stack as local


async def test_start_is_retried_if_a_port_is_taken_meanwhile() -> None:
    """Symptom: `gateway ended with code 2` if two stacks start at once and share ports."""
    ports = local.Ports.free()
    settings = local.StackSettings(ports=ports, engine_model="checksum")
    with socket.create_server((local.HOST, ports.gateway)):
        async with contextlib.AsyncExitStack() as cleanup:
            stack = await _start(settings, cleanup)
            assert stack.settings.ports.gateway != ports.gateway
            assert stack.settings.ports.in_use()
