"""What a carrier's file tells the driver. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from cli.callers.call import Call, Message


class Dialogue(Protocol):
    """What the carrier says on one media socket; one object per socket.

    What a dialogue does not say otherwise: it waits for nothing, and just hangs up at the end.
    """

    @property
    def may_speak(self) -> bool:
        """Whether what comes after a message of the opening may: its next one, or media.

        Asked again after each message received.
        """
        return True

    @property
    def may_hang_up(self) -> bool:
        """Whether the socket may be closed after the closing; asked again likewise."""
        return True

    def opening(self) -> Iterable[Message]:
        """Write what comes before media."""

    def media(self) -> Iterable[Sequence[Message]]:
        """Write the media, a group of messages for each 20 ms."""

    def closing(self) -> Iterable[Message]:
        """Write what comes after all of the media."""
        return ()

    def receive(self, message: str) -> None:
        """Take a text message of the gateway's; raises ValueError if it is no such protocol's."""
        return


@dataclass(frozen=True, slots=True)
class Stream:
    """A media socket to open.

    Attributes:
        url: by the gateway's public name.
        dialogue: what is said on it.
        headers: of its upgrade.
        subprotocols: that it offers.
    """

    url: str = field(repr=False)
    dialogue: Dialogue
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    subprotocols: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """What the carrier posts to ask what to do with a call."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Caller(Protocol):
    """One carrier, with the credentials that the gateway believes."""

    name: ClassVar[str]
    labels: ClassVar[Mapping[str, str]] = {}  # what it calls tracks that it does not call ours

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Say what sockets to open where no webhook is asked.

        Args:
            call: what to play.
            url: of the gateway's media socket, by its public name.
            now_s: Unix seconds.
        """

    def label(self, track: str) -> str:
        """Name a track as the carrier does."""
        return self.labels.get(track, track)


@runtime_checkable
class AnnouncingCaller(Caller, Protocol):
    """A carrier that asks a webhook first."""

    def webhook(self, call: Call, url: str, now_s: float) -> Webhook:
        """Write the request.

        Args:
            call: which call it is about.
            url: of the gateway's webhook, by its public name.
            now_s: Unix seconds.
        """

    def answered(self, call: Call, document: bytes, now_s: float) -> Sequence[Stream]:
        """Read the webhook's answer: what sockets to open.

        Args:
            call: what to play.
            document: the answer's body.
            now_s: Unix seconds.

        Raises:
            ValueError: it forks nothing.
        """
