"""One `InvokeEndpointWithBidirectionalStream`: verified, relayed to the container, ended."""

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
    """The request is answered with an error."""

    def __init__(self, end: ends.Refused) -> None:
        self.end = end
        super().__init__(end.message)


@dataclass(frozen=True, slots=True)
class Platform:
    """What all invocations of an endpoint share."""

    settings: Settings
    credentials: Credentials
    session: ClientSession
    faults: Faults


class Invocation:
    """One stream's life; `run` is all of it."""

    def __init__(self, stream: Stream, platform: Platform) -> None:
        self._stream = stream
        self._platform = platform
        self._settings = platform.settings
        self._request_id = str(uuid4())
        self._fault: Fault | None = None
        self._stalled = False
        self._events = 0  # parts that the container has
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
        """Check the request, the signature first: a stranger learns nothing else."""
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
        """Do what a fault wants before the response; None lets the stream go on."""
        if self._fault is None:
            return None
        await asyncio.sleep(self._fault.delay_s)
        if self._fault.outcome is None or self._fault.after_events is not None:
            return None
        return await self._strike(self._fault.outcome)

    async def _serve(self, chain: EventChain) -> End:
        """Relay between the client and a socket of the container."""
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
        """Relay until the first end; the container's word goes first."""
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
            return ends.Failed(INTERNAL_STREAM_FAILURE, "the stream's longest life is over")
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _uplink(self, container: Container, chain: EventChain) -> End:
        """Pass the client's parts on; then wait for the container to have said everything."""
        parts = SignedParts(chain)
        try:
            if struck := await self._strike_if_due():
                return struck
            while data := await self._stream.receive():
                parts.feed(data)
                while part := parts.next_part(time.time()):
                    await container.send(part)
                    self._events += 1
                    if struck := await self._strike_if_due():
                        return struck
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
        """Pass the container's messages on, until it closes."""
        while isinstance(reply := await container.receive(), bytes):
            if self._stalled:
                return await self._strike(Stalled())
            await self._stream.write(reply)
            self._replies += 1
        return reply

    async def _strike_if_due(self) -> End | None:
        fault = self._fault
        if fault is None or fault.outcome is None or fault.after_events != self._events:
            return None
        return await self._strike(fault.outcome)

    async def _strike(self, outcome: End | Stalled) -> End:
        """Give a fault's end; of a stall, when the stream's longest life is over."""
        if isinstance(outcome, Stalled):
            self._stalled = True
            await asyncio.sleep(self._settings.max_connection_s)
            return ends.Reset()
        return outcome

    async def _finish(self, end: End) -> None:
        """Let the client see the end."""
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
