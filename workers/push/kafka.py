"""Sends messages to a topic of Kafka, as CloudEvents.

Binary content mode: the value is the message's body, and the headers are the event's attributes.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

The key is the call's id, so all messages of a call are in one partition of the topic, in order.
aiokafka is imported only if a subscription uses this adapter: it is in the extra `kafka`.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from common.settings import SettingsError
from workers.push.delivery import Result
from workers.push.messages import Message
from workers.push.subscriptions import TLS_KAFKA, Endpoint

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

_CLOSE_S: Final = 3.0
_SOURCE: Final = "callscribe"


@contextlib.asynccontextmanager
async def open_kafka(
    endpoint: Endpoint, timeout_s: float, ca_file: Path | None = None
) -> AsyncIterator["KafkaAdapter"]:
    """Yield the adapter of a subscription, and close its connections.

    Args:
        endpoint: the brokers and the topic.
        timeout_s: longest time of an attempt.
        ca_file: PEM file of more CAs to trust.

    Raises:
        SettingsError: the extra is not installed, or a certificate can't be used.
    """
    try:
        import aiokafka  # noqa: F401 - optional
    except ImportError:
        raise SettingsError(
            f"subscriptions.{endpoint.subscription.id}.adapter: kafka needs the extra kafka: "
            'pip install "callscribe[kafka]"'
        ) from None
    adapter = KafkaAdapter(endpoint, timeout_s, _tls(endpoint, ca_file))
    try:
        yield adapter
    finally:
        await adapter.close()


def _tls(endpoint: Endpoint, ca_file: Path | None) -> ssl.SSLContext | None:
    if not endpoint.url.startswith(TLS_KAFKA):
        return None
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        if endpoint.client_certificate:
            context.load_cert_chain(endpoint.client_certificate)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"subscriptions.{endpoint.subscription.id}: WORKER_PUSH_CA_FILE or the client's "
            f"certificate cannot be used: {type(error).__name__}"
        ) from None
    return context


class KafkaAdapter:
    """Appends messages to a topic; implements `Adapter`.

    Args:
        endpoint: the brokers and the topic.
        timeout_s: longest time of an attempt.
        tls: verifies the brokers; None to connect without TLS.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        # A record waits for a request, and then for its response, for this time each. It must not
        # be appended after the attempt, when later messages may be sent.
        self._timeout_ms = max(500, round(timeout_s * 500))
        self._tls = tls
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def deliver(self, message: Message, attempt: int) -> Result:
        """Append a message, and wait until all replicas in sync have it; see `Adapter`."""
        from aiokafka.errors import KafkaError

        try:
            producer = await self._started()
            await producer.send_and_wait(
                self._endpoint.topic,
                message.body.encode(),
                key=message.call_id.encode(),
                headers=headers_of(message, attempt, self._endpoint.subscription.id),
            )
        except KafkaError as error:
            return reason_of(error)
        return Result(is_done=True)

    async def _started(self) -> "AIOKafkaProducer":
        """Return the producer, connected."""
        from aiokafka import AIOKafkaProducer

        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._endpoint.url.partition("://")[2],
                    acks="all",
                    client_id=_SOURCE,
                    request_timeout_ms=self._timeout_ms,
                    security_protocol="SSL" if self._tls else "PLAINTEXT",
                    ssl_context=self._tls,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Close the connections."""
        if self._producer:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._producer.stop()


def headers_of(message: Message, attempt: int, subscription: str) -> list[tuple[str, bytes]]:
    """Return the headers of a message: the attributes of a CloudEvent, and the attempt."""
    body = msgspec.json.decode(message.body)
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": message.id,
        "ce_source": f"/{_SOURCE}/{subscription}",
        "ce_type": f"{_SOURCE}.{message.type}",
        "ce_subject": message.call_id,
        "ce_time": body["timestamp"],
        "content-type": "application/json",
        "callscribe-attempt": str(attempt),
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def reason_of(error: Exception) -> Result:
    """Return the result of a failed attempt. The error's text may name hosts, and is not used."""
    match type(error).__name__:
        case "KafkaConnectionError" | "NodeNotReadyError":
            return Result(reason="connect-failed")
        case "KafkaTimeoutError" | "RequestTimedOutError":
            return Result(reason="timeout")
        case "UnknownTopicOrPartitionError":
            return Result(reason="unknown-topic")
        case "MessageSizeTooLargeError" | "RecordListTooLargeError":
            return Result(reason="too-large", is_final=True)
        case _:
            return Result(reason="broker-error")
