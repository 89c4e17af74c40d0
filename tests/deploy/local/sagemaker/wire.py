"""A client that exposes the HTTP/2 frames, which the SDK hides."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection

from deploy.local.sagemaker import LocalEndpoint
from deploy.local.sagemaker.eventstream import Event, EventStreamParser
from tests.deploy.local.sagemaker.peers import TIMEOUT_S
from tests.deploy.local.sagemaker.signing import PATH, EventSigner, part, sign_request


@dataclass
class Seen:
    """What was received for one stream and its connection."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ends: list[str] = field(default_factory=list)  # "end", "reset CODE", "goaway CODE" or "closed"

    @property
    def events(self) -> list[Event]:
        parser = EventStreamParser()
        parser.feed(bytes(self.body))
        events = []
        while event := parser.next_event():
            events.append(event)
        return events


class WireClient:
    """One HTTP/2 connection and one signed stream on it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str
    ) -> None:
        self.seen = Seen()
        self.opens_window = True  # whether received bytes are acknowledged
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._reader = reader
        self._writer = writer
        self._authority = authority
        self._stream_id = 0
        self._signer = EventSigner({"authorization": "Signature="})

    async def open(self, path: str = PATH, **changed: str) -> None:
        """Send a signed request; `changed` headers are changed after signing."""
        if not self._stream_id:
            self.h2.initiate_connection()
        headers = await sign_request(datetime.now(UTC), host=self._authority, path=path)
        self._signer = EventSigner(headers)
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        del headers["host"]
        pseudo = {":method": "POST", ":scheme": "https", ":authority": self._authority}
        self._stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(self._stream_id, [*(pseudo | {":path": f"{path}?"} | headers).items()])
        await self._flush()

    async def send(self, data: bytes) -> None:
        """Send one signed part."""
        await self.send_raw(self._signer.sign(part(data), datetime.now(UTC)).encode())

    async def half_close(self) -> None:
        """Send the signed last event and END_STREAM."""
        last = self._signer.sign(b"", datetime.now(UTC)).encode()
        self.h2.send_data(self._stream_id, last, end_stream=True)
        await self._flush()

    async def send_raw(self, data: bytes) -> None:
        """Send body bytes unchanged."""
        for start in range(0, len(data), self.h2.max_outbound_frame_size):
            frame = data[start : start + self.h2.max_outbound_frame_size]
            self.h2.send_data(self._stream_id, frame)
        await self._flush()

    def break_chain(self) -> None:
        """Sign the next event with a wrong prior signature."""
        self._signer.prior = "0" * 64

    def room(self) -> int:
        """Return how many bytes the peer's window allows to send."""
        return self.h2.local_flow_control_window(self._stream_id)

    async def has_room(self, size: int, patience_s: float = 0.5) -> bool:
        """Wait up to `patience_s` for room for `size` bytes twice; return whether there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.room() < 2 * size:
                    await self.read()
        return self.room() >= 2 * size

    async def read(self) -> bool:
        """Read and process the next bytes; return False once the connection is closed."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                data = await self._reader.read(65536)
            except ConnectionError:
                data = b""
        if not data:
            self.seen.ends.append("closed")
            return False
        for event in self.h2.receive_data(data):
            self._note(event)
        await self._flush()
        return True

    async def until_head(self) -> dict[str, str]:
        while not self.seen.headers and not self.seen.ends:
            await self.read()
        return self.seen.headers

    async def until_events(self, count: int) -> list[Event]:
        while len(self.seen.events) < count and not self.seen.ends:
            await self.read()
        return self.seen.events

    async def until_bytes(self, count: int) -> None:
        while len(self.seen.body) < count and not self.seen.ends:
            await self.read()

    async def until_end(self) -> list[str]:
        while not self.seen.ends:
            await self.read()
        return self.seen.ends

    async def until_closed(self) -> list[str]:
        while await self.read():
            pass
        return self.seen.ends

    async def _flush(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._writer.write(self.h2.data_to_send())
            await self._writer.drain()

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.seen.headers = {str(name): str(value) for name, value in event.headers}
            case h2.events.DataReceived():
                self.seen.body += event.data
                if self.opens_window:
                    size = event.flow_controlled_length
                    self.h2.acknowledge_received_data(size, event.stream_id)
            case h2.events.StreamEnded():
                self.seen.ends.append("end")
            case h2.events.StreamReset():
                self.seen.ends.append(f"reset {int(event.error_code)}")
            case h2.events.ConnectionTerminated():
                self.seen.ends.append(f"goaway {int(event.error_code or 0)}")
            case _:
                pass


@contextlib.asynccontextmanager
async def wire(endpoint: LocalEndpoint) -> AsyncIterator[WireClient]:
    """Connect to the endpoint."""
    context = ssl.create_default_context(cafile=str(endpoint.ca_file))
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("localhost", endpoint.port, ssl=context)
    try:
        yield WireClient(reader, writer, f"localhost:{endpoint.port}")
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                await writer.wait_closed()
