"""Limits each token that is bound to a call to one live stream at a time.

A carrier that lost its socket, or received no response to its upgrade, connects again with the same
URL, often before the gateway has detected that the first socket is lost. The newer stream then
replaces the older one: the older stream ends, and the audio it received is still transcribed. When
a stream ends because its call ended, its token expires at all gateways. The token stays valid if
the stream was lost, drained or refused.

Streams at other gateways are not known here. If two gateways have a stream with the same ids, the
one with the higher epoch owns it. The other stream ends when its socket's heartbeat fails.
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
    """All tokens that are bound to a call and have a live stream at this gateway.

    Args:
        replay_guard: keeps the tokens that have expired.
    """

    def __init__(self, replay_guard: ReplayGuard) -> None:
        self._replay_guard = replay_guard
        self._streams: dict[str, CallStream] = {}

    async def check(self, upgrade: Upgrade) -> None:
        """Check that an upgrade's token has not expired, or use up its single-use value.

        Raises:
            CarrierError: replayed.
        """
        if upgrade.once and upgrade.once.until_end:
            _refuse_after_end(self._streams.get(upgrade.once.value))
            await self._replay_guard.check_not_revoked(upgrade.once)
        else:
            await self._replay_guard.use_once(upgrade.once)

    def authorize(self, upgrade: Upgrade, start: CallStarted, stream: CallStream) -> None:
        """Check the start message of a stream, and end the stream that had the token before.

        Raises:
            CarrierError: as `Upgrade.authorize`; replayed if the call's stream has already ended.
        """
        upgrade.authorize(start)
        if upgrade.once and upgrade.once.until_end:
            before = self._streams.get(upgrade.once.value)
            _refuse_after_end(before)
            self._streams[upgrade.once.value] = stream
            if before:
                before.end(_SUPERSEDED)

    async def end_stream(self, upgrade: Upgrade, stream: CallStream) -> None:
        """Remove a stream that has ended; expire its token if the call has ended."""
        once = upgrade.once
        if once and self._streams.get(once.value) is stream:
            del self._streams[once.value]
            if _is_over(stream):
                await self._replay_guard.revoke(once)


def _is_over(stream: CallStream | None) -> bool:
    """Return whether a stream ends because its call has ended; its transcript may be pending."""
    termination = stream.termination if stream else None
    return termination is not None and termination.status is Status.COMPLETED


def _refuse_after_end(stream: CallStream | None) -> None:
    if _is_over(stream):
        raise CarrierError("replayed")
