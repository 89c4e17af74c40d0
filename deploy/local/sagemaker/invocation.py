"""Handle one `InvokeEndpointWithBidirectionalStream`: verify it and relay it to the container."""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import unquote
from uuid import uuid4

from aiohttp import ClientSession

from deploy.local.sagemaker import ends
from deploy.local.sagemaker.connection import Stream
from deploy.local.sagemaker.container import Container, ContainerError, connect
from deploy.local.sagemaker.ends import End
from deploy.local.sagemaker.eventstream import EventStreamError
from deploy.local.sagemaker.faults import Fault, Faults, Stalled
from deploy.local.sagemaker.parts import INTERNAL_STREAM_FAILURE, SignedParts, encode_exception
from deploy.local.sagemaker.settings import Settings
from deploy.local.sagemaker.sigv4 import Credentials, EventChain, SignatureError, verify_request

_PATH = re.compile(r"/endpoints/([^/?]+)/invocations-bidirectional-stream\??")
_CONTAINER_PATH = "invocations-bidirectional-stream"
_VARIANT = "x-amzn-sagemaker-target-variant"
_MODEL_PATH = "x-amzn-sagemaker-model-invocation-path"
_MODEL_QUERY = "x-amzn-sagemaker-model-query-string"
_MAX_CHARACTERS = {_VARIANT: 63, _MODEL_PATH: 100, _MODEL_QUERY: 2048}
_log = logging.getLogger(__name__)


class _RefusedError(Exception):
    """The request is rejected with an error response."""

    def __init__(self, end: ends.Refused) -> None:
        self.end = end
        super().__init__(end.message)


@dataclass(frozen=True, slots=True)
class Platform:
    """Settings and resources that all invocations of an endpoint share."""

    settings: Settings
    credentials: Credentials
    session: ClientSession
    faults: Faults


class Invocation:
    """One stream, from the request to its end."""

    def __init__(self, stream: Stream, platform: Platform) -> None:
        self._stream = stream
        self._platform = platform
        self._settings = platform.settings
        self._request_id = str(uuid4())
        self._fault: Fault | None = None
        self._stalled = False
        self._events = 0  # parts sent to the container
        self._replies = 0

    async def run(self) -> None:
        """Serve the stream to its end."""
        try:
            chain = self._admit()
            self._fault = self._platform.faults.take()
            if (end := await self._fail_to_start()) is None:
                end = await self._serve(chain)
        except _RefusedError as error:
            end = error.end
        await self._finish(end)

    def _admit(self) -> EventChain:
        """Check the request; first the signature, so that other clients get no other error."""
        headers = self._stream.headers
        target = headers[":path"]
        try:
            chain = verify_request(
                headers[":method"],
                target,
                {"host": headers.get(":authority", "")} | headers,
                self._platform.credentials,
                time.time(),
            )
        except SignatureError as error:
            status = 400 if error.code == "IncompleteSignatureException" else 403
            raise _RefusedError(ends.Refused(status, error.code, str(error))) from None
        path = _PATH.fullmatch(target)
        if path is None or headers[":method"] != "POST":
            raise _RefusedError(ends.Refused(404, "UnknownOperationException", "no such operation"))
        if unquote(path[1]) not in self._settings.names:
            raise _invalid(f"Endpoint {unquote(path[1])} not found.")
        _check_limits(headers)
        return chain

    async def _fail_to_start(self) -> End | None:
        """Apply a fault that occurs before the response; return None to continue the stream."""
        if self._fault is None:
            return None
        await asyncio.sleep(self._fault.delay_s)
        if self._fault.outcome is None or self._fault.after_events is not None:
            return None
        return await self._apply_fault(self._fault.outcome)

    async def _serve(self, chain: EventChain) -> End:
        """Relay between the client and a WebSocket to the container."""
        settings = self._settings
        try:
            container = await connect(
                self._platform.session, self._container_url(), settings.accept_timeout_s
            )
        except ContainerError as error:
            return error.end
        async with container:
            self._stream.respond(
                200,
                {
                    "content-type": "application/vnd.amazon.eventstream",
                    "x-amzn-requestid": self._request_id,
                    "x-amzn-invoked-production-variant": self._stream.headers.get(
                        _VARIANT, "AllTraffic"
                    ),
                },
            )
            return await self._relay(container, chain)

    async def _relay(self, container: Container, chain: EventChain) -> End:
        """Relay until one side ends; if both have, the container's end takes precedence."""
        settings = self._settings
        directions = [
            asyncio.create_task(self._downlink(container)),
            asyncio.create_task(self._uplink(container, chain)),
            asyncio.create_task(
                container.keep_alive(settings.ping_interval_s, settings.ping_limit)
            ),
        ]
        try:
            await asyncio.wait(
                directions,
                timeout=settings.max_connection_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for direction in directions:
                if direction.done():
                    return direction.result()
            if self._stalled:
                return ends.Reset()
            return ends.Failed(INTERNAL_STREAM_FAILURE, "the stream reached its maximum duration")
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _uplink(self, container: Container, chain: EventChain) -> End:
        """Forward the client's parts, then wait for the container to finish."""
        parts = SignedParts(chain)
        try:
            if end := await self._apply_fault_if_due():
                return end
            while data := await self._stream.receive():
                parts.feed(data)
                while part := parts.next_part(time.time()):
                    await container.send(part)
                    self._events += 1
                    if end := await self._apply_fault_if_due():
                        return end
            parts.finish()
        except SignatureError as error:
            return ends.Failed(error.code, str(error))
        except EventStreamError as error:
            return ends.Failed("ValidationException", str(error))
        except ContainerError as error:
            return error.end
        await container.half_close()
        await asyncio.sleep(self._settings.drain_timeout_s)
        return ends.Completed()

    async def _downlink(self, container: Container) -> End:
        """Forward the container's messages until it closes."""
        while isinstance(reply := await container.receive(), bytes):
            if self._stalled:
                return await self._apply_fault(Stalled())
            await self._stream.write(reply)
            self._replies += 1
        return reply

    async def _apply_fault_if_due(self) -> End | None:
        fault = self._fault
        if fault is None or fault.outcome is None or fault.after_events != self._events:
            return None
        return await self._apply_fault(fault.outcome)

    async def _apply_fault(self, outcome: End | Stalled) -> End:
        """Return a fault's end; for a stall, wait until the stream's maximum duration is over."""
        if isinstance(outcome, Stalled):
            self._stalled = True
            await asyncio.sleep(self._settings.max_connection_s)
            return ends.Reset()
        return outcome

    async def _finish(self, end: End) -> None:
        """Log the end and send it to the client."""
        _log.info(
            "stream-ended request_id=%s end=%s events=%d replies=%d",
            self._request_id,
            getattr(end, "error", type(end).__name__),
            self._events,
            self._replies,
        )
        match end:
            case ends.Refused():
                self._stream.respond(
                    end.status,
                    {
                        "content-type": "application/json",
                        "x-amzn-errortype": end.error,
                        "x-amzn-requestid": self._request_id,
                    },
                )
                await self._stream.finish(end.body)
            case ends.Failed():
                await self._stream.finish(encode_exception(end.error, end.message, end.code))
            case ends.Completed():
                await self._stream.finish()
            case ends.Reset():
                self._stream.reset(end.code)
            case ends.Dropped():
                self._stream.connection.drop()
            case ends.WentAway():
                self._stream.connection.go_away(end.code)
            case _:
                assert_never(end)

    def _container_url(self) -> str:
        headers = self._stream.headers
        path = headers.get(_MODEL_PATH, _CONTAINER_PATH)
        query = headers.get(_MODEL_QUERY)
        return f"{self._settings.container_url}/{path}" + (f"?{query}" if query else "")


def _invalid(message: str) -> _RefusedError:
    return _RefusedError(ends.Refused(400, "InputValidationError", message))


def _check_limits(headers: Mapping[str, str]) -> None:
    for name, limit in _MAX_CHARACTERS.items():
        if len(headers.get(name, "")) > limit:
            raise _invalid(f"{name} is longer than {limit} characters")
    if headers.get(_MODEL_PATH, "").startswith("/"):
        raise _invalid(f"{_MODEL_PATH} has a leading slash")
