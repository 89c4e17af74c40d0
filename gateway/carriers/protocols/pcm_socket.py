"""Parse sockets that announce the stream in a text, then send audio in binary messages. Pure.

    first text . (binary | text)*

Audio has neither numbers nor timestamps: it is counted. The stream ends when the socket closes.
Each carrier's file has a function that parses one text into one event. Nothing is ever sent to the
carrier. Audio that arrives before the first text is held for it, even if that text is optional.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from gateway.audio.channels import Deinterleaver
from gateway.audio.encodings import TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.protocols.dialect import number
from gateway.carriers.protocols.early_media import BYTES_PER_MS, EarlyMedia
from gateway.carriers.protocols.formats import track_format
from gateway.errors import CarrierError

MIX: Final = "mix"  # the track with all speakers, and its role

# The tracks, in the order of the channels, by the mix types of FreeSWITCH's and jambonz' modules.
# Source: the READMEs of mod_audio_fork and mod_audio_stream.
MIX_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "mono": ("inbound",),  # the caller
    "mixed": (MIX,),
    "stereo": ("inbound", "outbound"),  # the caller left, the callee right
}

_MAX_TEXT_BYTES: Final = 1 << 16
_OPTIONAL_MS: Final = 2000  # audio that is held for an optional first text


class PcmSocketAdapter(Adapter):
    """The adapter of one stream of linear PCM or mu-law.

    Once the stream has started, less than one sample per track is held back.

    Args:
        understand: parses a text message into an event; raises CarrierError if it is invalid.
        unannounced: the start to use if no first text arrives; None: the first text is required.
            If it is given, later texts may have any content.
    """

    def __init__(
        self,
        understand: Callable[[bytes], CarrierEvent],
        unannounced: CallStarted | None = None,
    ) -> None:
        self._understand = understand
        self._unannounced = unannounced
        self._started: CallStarted | None = None
        self._tracks: tuple[str, ...] = ()
        self._deinterleaver = Deinterleaver(1, 2)
        self._early = EarlyMedia(BYTES_PER_MS)
        formats = unannounced.tracks if unannounced else ()
        self._optional_bytes = _OPTIONAL_MS * sum(form.bytes_per_ms for form in formats)

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one text message; see `Adapter`."""
        if len(message) > _MAX_TEXT_BYTES:
            raise CarrierError("message-too-big", "text")
        event = self._understand(message)
        if isinstance(event, CallStarted):
            return self._start(event)
        if isinstance(event, DtmfReceived) and event.track not in self._tracks:
            event = DtmfReceived(None)
        return (event,)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse audio of any length; see `Adapter`."""
        if self._started:
            return self._audio(message)
        self._early.hold(message)
        is_due = self._unannounced and self._early.size_bytes >= self._optional_bytes
        return self.begin() if is_due else ()

    def begin(self) -> Sequence[CarrierEvent]:
        """Start without the first text, if it is optional and audio is held; see `Adapter`."""
        if self._started or self._unannounced is None or not self._early.size_bytes:
            return ()
        return self._start(self._unannounced)

    def _start(self, start: CallStarted) -> Sequence[CarrierEvent]:
        if self._started is None:
            self._started = start = replace(self.correct(start), is_timed=False)
            self._tracks = tuple(form.track for form in start.tracks)
            sample_bytes = start.tracks[0].encoding.sample_bytes
            self._deinterleaver = Deinterleaver(len(self._tracks), sample_bytes)
            return (start, *self._audio(b"".join(self._early.drain())))
        if self._unannounced is not None:
            return (MessageIgnored("text"),)
        if start.call_id == self._started.call_id:
            return (MessageIgnored("repeated-start"),)
        raise CarrierError("second-start")

    def _audio(self, message: bytes) -> Sequence[CarrierEvent]:
        parts = zip(self._tracks, self._deinterleaver.split(message), strict=True)
        return [AudioReceived(track, part, None, None) for track, part in parts if part]


def new_connection_id() -> str:
    """Return a new id for a stream whose carrier sends none."""
    return secrets.token_urlsafe(16)


def formats(names: Sequence[str], encoding: str, rate: object, ask: str) -> tuple[TrackFormat, ...]:
    """Return the formats of a stream's tracks.

    Args:
        names: the tracks, in the order of the channels.
        encoding: the carrier's name for the encoding of all tracks.
        rate: the sample rate of all tracks.
        ask: the error's detail: what the operator has to configure at the carrier.

    Raises:
        CarrierError: unsupported-encoding, even if there are no tracks; the detail is `ask`.
    """
    rate_hz = number(rate)
    if not names or not rate_hz:
        raise CarrierError("unsupported-encoding", ask)
    try:
        return tuple(track_format(name, encoding, rate_hz) for name in names)
    except CarrierError as error:
        raise CarrierError(error.reason, ask) from None


def mix_role(names: Sequence[str]) -> dict[str, str]:
    """Return the roles that follow from the tracks' names: only that of the mix."""
    return {MIX: MIX} if MIX in names else {}


def texts(message: Mapping[str, object], nested: str | None = None) -> dict[str, str]:
    """Return, as strings, a message's values that are strings, numbers or flags.

    Args:
        message: the parsed message.
        nested: a field whose own values are returned as well, unless the message has the same name.
    """
    inner = message.get(nested) if nested else None
    return (texts(inner) if isinstance(inner, dict) else {}) | {
        name: str(value)
        for name, value in message.items()
        if isinstance(value, str | int | float) and value != ""
    }
