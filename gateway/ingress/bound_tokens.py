"""The live stream of each token that is bound to a call: one at a time.

A carrier that lost its socket, or never got the answer to its upgrade, connects again by the same
URL, often before we notice that its first socket is dead. So the newer one has the token, and the
stream of the older one ends; what it received is transcribed. When a stream ends with its call,
its token expires, at all gateways. It stays valid if the stream was lost, drained or refused.

A socket at another gateway is not known here. Of a stream with the same ids there, the higher epoch
is the owner; others end when their socket's heartbeat finds nobody.
"""

from typing import Final

from gateway.calls.stream import CallStream
from gateway.calls.termination import Termination
from gateway.carriers.carrier import Upgrade
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError
from gateway.ingress.replay_guard import ReplayGuard
from gateway.transcript.events import Status

_SUPERSEDED: Final = Termination.failed(CarrierError("superseded"))


class BoundTokens:
    """All tokens that are bound to a call and have a live stream here.

    Args:
        shown: remembers which are used up.
    """

    def __init__(self, shown: ReplayGuard) -> None:
        self._shown = shown
        self._streams: dict[str, CallStream] = {}

    async def check(self, upgrade: Upgrade) -> None:
        """Check an upgrade's token, or what else it is accepted with once.

        Raises:
            CarrierError: replayed.
        """
        if upgrade.once and upgrade.once.until_end:
            _refuse_after_end(self._streams.get(upgrade.once.value))
            await self._shown.refuse_used_up(upgrade.once)
        else:
            await self._shown.refuse_again(upgrade.once)

    def authorize(self, upgrade: Upgrade, start: CallStarted, stream: CallStream) -> None:
        """Check the start message of a stream, and end the one that had its token before.

        Raises:
            CarrierError: as `Upgrade.authorize`; replayed: the call's stream is at its end.
        """
        upgrade.authorize(start)
        if upgrade.once and upgrade.once.until_end:
            before = self._streams.get(upgrade.once.value)
            _refuse_after_end(before)
            self._streams[upgrade.once.value] = stream
            if before:
                before.end(_SUPERSEDED)

    async def release(self, upgrade: Upgrade, stream: CallStream) -> None:
        """Note that a stream has ended."""
        once = upgrade.once
        if once and self._streams.get(once.value) is stream:
            del self._streams[once.value]
            if _is_over(stream):
                await self._shown.use_up(once)


def _is_over(stream: CallStream | None) -> bool:
    """Whether a stream ends, or has ended, as the call does; its last words may yet come."""
    termination = stream.termination if stream else None
    return termination is not None and termination.status is Status.COMPLETED


def _refuse_after_end(stream: CallStream | None) -> None:
    if _is_over(stream):
        raise CarrierError("replayed")
