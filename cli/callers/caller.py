"""The interface between a carrier's module and the driver. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from cli.callers.call import Call, Message


class Dialogue(Protocol):
    """The messages of a carrier on one media socket; one object for each socket.

    By default a dialogue waits for no answers and closes the socket after the last media.
    """

    @property
    def may_speak(self) -> bool:
        """Whether the next message of the opening, or media after the last one, may be sent.

        Read again after each message received.
        """
        return True

    @property
    def may_hang_up(self) -> bool:
        """Whether the socket may be closed after the closing messages.

        Read again after each message received.
        """
        return True

    def opening(self) -> Iterable[Message]:
        """Return the messages before media."""

    def media(self) -> Iterable[Sequence[Message]]:
        """Return the media messages, in groups that are due every 20 ms."""

    def closing(self) -> Iterable[Message]:
        """Return the messages after media."""
        return ()

    def receive(self, message: str) -> None:
        """Process a text message from the gateway.

        Raises:
            ValueError: the message does not belong to the carrier's protocol.
        """
        return


@dataclass(frozen=True, slots=True)
class Stream:
    """A media socket to open.

    Attributes:
        url: its public URL.
        dialogue: the messages to send on it.
        headers: headers of the upgrade request.
        subprotocols: WebSocket subprotocols to offer.
    """

    url: str = field(repr=False)
    dialogue: Dialogue
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    subprotocols: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """The request by which a carrier asks how to handle a call."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Caller(Protocol):
    """One carrier, with credentials that the gateway accepts."""

    name: ClassVar[str]
    labels: ClassVar[Mapping[str, str]] = {}  # its names of tracks, where they differ from ours

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Return the sockets to open when no webhook is asked.

        Args:
            call: the call to play.
            url: the public URL of the gateway's media socket.
            now_s: the current time, in Unix seconds.
        """

    def label(self, track: str) -> str:
        """Return the carrier's name of a track."""
        return self.labels.get(track, track)


@runtime_checkable
class AnnouncingCaller(Caller, Protocol):
    """A carrier that calls a webhook before it opens media sockets."""

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Return the request to the webhook.

        Args:
            call: the call that is announced.
            url: the public URL of the gateway's webhook.
            now_s: the current time, in Unix seconds.
        """

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Return the sockets that the webhook's answer asks to open.

        Args:
            call: the call to play.
            document: the body of the answer.
            now_s: the current time, in Unix seconds.

        Raises:
            ValueError: the answer asks for no stream.
        """
