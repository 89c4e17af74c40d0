"""Genesys Cloud AudioHook: a signed upgrade, a session that is opened and closed, and pings.

Audio is sent as the reference client sends it: 200 ms per message, both channels interleaved.
Sources: see `gateway/carriers/vendors/genesys/carrier.py`.
"""

import base64
import itertools
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from cli.callers.call import Call, Message
from cli.callers.caller import Caller, Dialogue, Stream
from cli.callers.frames import FRAME_BYTES, FRAME_MS, cut, interleave
from cli.callers.messages import CALLED, CALLER, text
from gateway.carriers.auth.http_signature import API_KEY, ORGANIZATION_ID, SESSION_ID, sign

_ORGANIZATION: Final = "d7934305-0972-4844-938e-9060eef73d05"  # made up
_LABELS: Final = {"inbound": "external", "outbound": "internal"}
_MESSAGE_FRAMES: Final = 10
_FIRST_PING_MS: Final = 1000
_PING_MS: Final = 5000
_SIGNED_S: Final = 10


class Genesys(Caller):
    """Genesys, which has no webhook. If several API keys are configured, the first is used."""

    name = "genesys"
    labels = _LABELS

    def __init__(self, credentials: Mapping[str, str]) -> None:
        api_keys = msgspec.json.decode(credentials["GATEWAY_GENESYS_API_KEYS"], type=dict[str, str])
        self._api_key, secret = next(iter(api_keys.items()))
        self._secret = base64.b64decode(secret)

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Sign the upgrade; see `Caller`."""
        headers = {
            ORGANIZATION_ID: _ORGANIZATION,
            SESSION_ID: call.stream_id,
            "audiohook-correlation-id": str(uuid.uuid4()),
            API_KEY: self._api_key,
        }
        parts = urlsplit(url)
        signed = sign(
            headers,
            parts.path,
            parts.netloc,
            self._secret,
            nonce=secrets.token_urlsafe(24),
            created_s=int(now_s),
            expires_s=int(now_s) + _SIGNED_S,
        )
        return [Stream(url, AudioHookDialogue(call), headers | signed)]


class _Media(msgspec.Struct):
    channels: list[Literal["external", "internal"]]


class _Parameters(msgspec.Struct):
    media: Annotated[list[_Media], msgspec.Meta(max_length=1)] = []  # msgspec copies it


class _Received(msgspec.Struct):
    """The fields of a server's message that are used here."""

    type: str
    seq: int
    parameters: _Parameters


class AudioHookDialogue(Dialogue):
    """One session: audio is sent after `opened`, and the socket is closed after `closed`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._tracks = {_LABELS[track]: audio for track, audio in call.tracks.items()}
        self._channels: Sequence[str] | None = None  # None before `opened`
        self._is_closed = False
        self._seq = 0
        self._server_seq = 0
        self._sent_ms = 0

    @property
    def may_speak(self) -> bool:
        """Whether `opened` has arrived."""
        return self._channels is not None

    @property
    def may_hang_up(self) -> bool:
        """Whether `closed` has arrived."""
        return self._is_closed

    def opening(self) -> Iterator[str]:
        """Yield `open`, which offers all channels together and each one alone."""
        names = list(self._tracks)
        offered = [names, *([name] for name in names)] if len(names) > 1 else [names]
        yield self._write(
            "open",
            organizationId=_ORGANIZATION,
            conversationId=self._call.call_id,
            participant={
                "id": str(uuid.uuid4()),
                "ani": CALLER,
                "aniName": "",
                "dnis": CALLED,
            },
            media=[
                {"type": "audio", "format": "PCMU", "channels": channels, "rate": 8000}
                for channels in offered
            ],
        )

    def media(self) -> Iterator[Sequence[Message]]:
        """Yield the audio of the channels that the server chose, and pings."""
        frames = cut([self._tracks[channel] for channel in self._channels or ()])
        at_ms, ping_ms = 0, _FIRST_PING_MS
        for batch in itertools.batched(frames, _MESSAGE_FRAMES):
            for number in range(1, len(batch) + 1):
                group: list[Message] = []
                at_ms += FRAME_MS
                if number == len(batch):
                    channels = [b"".join(channel) for channel in zip(*batch, strict=True)]
                    group.append(interleave(channels, 1))
                    self._sent_ms += len(channels[0]) // FRAME_BYTES * FRAME_MS
                if at_ms == ping_ms:
                    group.append(self._write("ping"))
                    ping_ms += _PING_MS
                yield group

    def closing(self) -> Iterator[str]:
        """Yield `close`."""
        yield self._write("close", reason="end")

    def receive(self, message: str) -> None:
        """Process a message from the server; see `Dialogue`."""
        try:
            received = msgspec.json.decode(message, type=_Received)
        except msgspec.DecodeError:
            raise ValueError("a message that is not AudioHook's") from None
        self._server_seq = received.seq
        match received.type:
            case "opened":
                self._channels = [
                    name for media in received.parameters.media for name in media.channels
                ]
            case "closed":
                self._is_closed = True
            case _:  # pongs need no answer, and after `disconnect` the server closes
                pass

    def _write(self, type_: str, **parameters: object) -> str:
        self._seq += 1
        return text(
            {
                "version": "2",
                "id": self._call.stream_id,
                "type": type_,
                "seq": self._seq,
                "serverseq": self._server_seq,
                "position": f"PT{self._sent_ms / 1000:g}S",
                "parameters": parameters,
            }
        )
