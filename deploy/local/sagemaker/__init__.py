"""A SageMaker endpoint for one machine: bidirectional streams, verified and bridged as AWS does.

One invocation's way through:

    connection.py   HTTP/2 on asyncio: streams, flow control both ways, coalesced writes
    invocation.py   one stream's life: verified, relayed, ended
    sigv4.py        PURE: the request's signature, and the chain that every event continues
    eventstream.py  PURE: the frames of application/vnd.amazon.eventstream
    parts.py        PURE: payload parts and exceptions inside those frames
    container.py    the WebSocket to the model's container
    ends.py         PURE: the ways an invocation ends, and what the client sees of each
    faults.py       ends on demand, for tests
    server.py       `LocalEndpoint`: certificate, listener, everything above wired
    settings.py     `ENDPOINT_…`

Nothing here logs, or quotes in an error, what a part holds.
"""

from deploy.local.sagemaker.server import LocalEndpoint
from deploy.local.sagemaker.settings import Settings

__all__ = ["LocalEndpoint", "Settings"]
