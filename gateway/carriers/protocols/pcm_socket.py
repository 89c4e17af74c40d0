"""Sockets that tell in a text what they carry, then send it in binary messages. Pure.

    first text . (binary | text)*

Audio has no numbers and no times: it is counted. The end is the socket's. What a carrier's texts
mean stands in its own file, as a function from one text to one event. Nothing is ever sent back.
Audio that overtook the first text waits for it, also where that text is optional.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from gateway.audio.channels import Deinterleaver
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    TrackFormat,
)
from gateway.carriers.protocols.dialect import number
from gateway.carriers.protocols.early_media import BYTES_PER_MS, EarlyMedia
from gateway.carriers.protocols.formats import track_format
from gateway.errors import CarrierError

MIX: Final = "mix"  # the track on which everybody speaks, and its role

# By what FreeSWITCH's modules, jambonz' too, call it: the tracks, in the order of the channels.
# Source: the READMEs of mod_audio_fork and mod_audio_stream.
MIX_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "mono": ("inbound",),  # the caller
    "mixed": (MIX,),
    "stereo": ("inbound", "outbound"),  # the caller left, the callee right
}

_MAX_TEXT_BYTES: Final = 1 << 16
_OPTIONAL_MS: Final = 2000  # of audio that waits for a first text which may not come


class PcmSocketAdapter(Adapter):
    """One stream, of linear PCM or mu-law; started, it holds less than a sample a track.

    Args:
        understand: gives what a text message means; raises CarrierError if that is nothing.
        unannounced: the start of a stream that goes without a first text. A carrier that has one
            may also say what it likes in its later texts.
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
        """Understand one text message; see `Adapter`."""
        if len(message) > _MAX_TEXT_BYTES:
            raise CarrierError("message-too-big", "text")
        event = self._understand(message)
        if isinstance(event, CallStarted):
            return self._start(event)
        if isinstance(event, DtmfReceived) and event.track not in self._tracks:
            event = DtmfReceived(None)
        return (event,)

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Take any number of bytes of audio; see `Adapter`."""
        if self._started:
            return self._audio(message)
        self._early.hold(message)
        is_due = self._unannounced and self._early.size_bytes >= self._optional_bytes
        return self.begin() if is_due else ()

    def begin(self) -> Sequence[CarrierEvent]:
        """Start without a first text, if audio waits for one that is optional; see `Adapter`."""
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
    """Make the id of a stream to which its carrier gives none."""
    return secrets.token_urlsafe(16)


def formats(names: Sequence[str], encoding: str, rate: object, ask: str) -> tuple[TrackFormat, ...]:
    """Give the formats of a stream's tracks.

    Args:
        names: the tracks, in the order of the channels.
        encoding: of all of them, as the carrier names it.
        rate: of all of them, samples per second.
        ask: what the operator is to ask of the carrier if it is not one of ours.

    Raises:
        CarrierError: unsupported-encoding, also without a track; the detail says what to ask for.
    """
    rate_hz = number(rate)
    if not names or not rate_hz:
        raise CarrierError("unsupported-encoding", ask)
    try:
        return tuple(track_format(name, encoding, rate_hz) for name in names)
    except CarrierError as error:
        raise CarrierError(error.reason, ask) from None


def mix_role(names: Sequence[str]) -> dict[str, str]:
    """The only role that tracks of these names tell by themselves."""
    return {MIX: MIX} if MIX in names else {}


def texts(message: Mapping[str, object], nested: str | None = None) -> dict[str, str]:
    """Give, as texts, a message's values that are texts, numbers or flags.

    Args:
        message: as it was read.
        nested: the name of a field whose own values count where the message has none.
    """
    inner = message.get(nested) if nested else None
    return (texts(inner) if isinstance(inner, dict) else {}) | {
        name: str(value)
        for name, value in message.items()
        if isinstance(value, str | int | float) and value != ""
    }
