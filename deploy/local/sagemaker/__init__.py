"""A local SageMaker endpoint: verifies and bridges bidirectional streams as AWS does.

The modules, in the order in which an invocation passes through them:

    connection.py   HTTP/2 on asyncio: streams, flow control both ways, coalesced writes
    invocation.py   one stream: verifies, relays and ends it
    sigv4.py        PURE: verifies the request's signature and the signature chain of its events
    eventstream.py  PURE: the frames of application/vnd.amazon.eventstream
    parts.py        PURE: payload parts and exceptions inside those frames
    container.py    the WebSocket to the model's container
    ends.py         PURE: the ways in which an invocation ends
    faults.py       fault injection, for tests
    server.py       `LocalEndpoint`: certificate, listener, and the modules above combined
    settings.py     `ENDPOINT_…`

The content of parts is never logged or quoted in errors.
"""

from deploy.local.sagemaker.server import LocalEndpoint
from deploy.local.sagemaker.settings import Settings

__all__ = ["LocalEndpoint", "Settings"]
