"""A process that publishes as a gateway does, until it is killed or fenced.

python -m tests.workers.a_gateway URL CALL_ID EPOCH LEASE_S NAME
"""

import asyncio
import sys
import time

from gateway.metrics import Metrics
from gateway.publishing.outbox import Limits
from gateway.publishing.publisher import Publisher
from gateway.publishing.redis_store import RedisStore
from gateway.redis_client.client import create_client
from gateway.transcript.events import StreamStarted, TrackInfo, TranscriptDelta


async def publish(url: str, call_id: str, epoch: int, lease_s: float, name: str) -> None:
    """Publish a delta every 20 ms until another gateway has taken over the stream."""
    fenced = asyncio.Event()
    client = create_client(url)
    publisher = Publisher(
        RedisStore(client), gateway=name, metrics=Metrics(), limits=Limits(lease_s=lease_s)
    )
    async with publisher:
        writer = publisher.open_stream(
            call_id, "MZ1", epoch, fenced.set, tenant="default", carrier="twilio"
        )
        track = TrackInfo("inbound", "customer", "pcmu", 8000)
        writer.publish(StreamStarted("twilio", (track,), {}))
        n = 0
        while not fenced.is_set():
            n += 1
            now_s = time.monotonic()
            writer.publish(
                TranscriptDelta("inbound", "customer", 1, 1, " a", 0, 80 * n, now_s, now_s)
            )
            await asyncio.sleep(0.02)
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(
        publish(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
    )
