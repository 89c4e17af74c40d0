"""AWS credentials for a stream: botocore's chain, frozen, and alive as long as the stream may be.

The SDK's own chain knows no web identity (IRSA), and nothing of it outlives one event: secrets that
rotate in mid-stream break the chain of signatures. So a stream is opened on one frozen set.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import botocore.session
from botocore.credentials import Credentials as ChainCredentials
from botocore.credentials import RefreshableCredentials

from gateway.errors import UpstreamError

type Chain = Callable[[], ChainCredentials | None]


@dataclass(frozen=True, slots=True)
class FrozenCredentials:
    """One set of keys that does not change any more."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


def botocore_chain() -> ChainCredentials | None:
    """Run botocore's whole chain afresh: environment, profiles, SSO, web identity, ECS, EC2 ..."""
    return botocore.session.Session().get_credentials()


class CredentialSource:
    """Hands out frozen credentials; asks the chain again when those it holds end too soon.

    Args:
        timeout_s: the longest anyone waits here; metadata services and credential processes hang.
        chain: where credentials come from. Blocking: it runs on a thread of its own.
    """

    def __init__(self, *, timeout_s: float, chain: Chain = botocore_chain) -> None:
        self._timeout_s: Final = timeout_s
        self._chain: Final = chain
        self._held: ChainCredentials | None = None
        self._resolving: asyncio.Future[FrozenCredentials] | None = None

    async def frozen(self, lifetime_s: float) -> FrozenCredentials:
        """Credentials valid for at least `lifetime_s` seconds from now.

        All who ask at the same time share one run of the chain.

        Raises:
            UpstreamError: no-credentials, credentials-expired.
        """
        if self._resolving is None or self._resolving.done():
            self._resolving = self._start(lifetime_s)
        try:
            return await asyncio.wait_for(asyncio.shield(self._resolving), self._timeout_s)
        except TimeoutError as error:
            raise UpstreamError("no-credentials", "the chain did not answer in time") from error

    def _start(self, lifetime_s: float) -> asyncio.Future[FrozenCredentials]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        # Who gives up waiting leaves the result to nobody: read it, or asyncio complains.
        done.add_done_callback(lambda future: future.cancelled() or future.exception())

        def deliver(result: FrozenCredentials | None, error: UpstreamError | None) -> None:
            if not done.done():
                _settle(done, result, error)

        def run() -> None:
            result, error = None, None
            try:
                result = self._resolve(lifetime_s)
            except UpstreamError as refused:
                error = refused
            except Exception as failed:  # noqa: BLE001 - a chain of plugins fails in its own ways
                error = UpstreamError("no-credentials", type(failed).__name__)
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver, result, error)

        # A daemon, not an executor's thread: those are joined at exit, however long they hang.
        threading.Thread(target=run, name="aws-credentials", daemon=True).start()
        return done

    def _resolve(self, lifetime_s: float) -> FrozenCredentials:
        for fresh in (False, True):
            if fresh or self._held is None:
                self._held = self._chain()
            if self._held is None:
                raise UpstreamError("no-credentials", "the chain found none")
            keys = self._held.get_frozen_credentials()
            if not keys.access_key or not keys.secret_key:
                raise UpstreamError("no-credentials", "the chain found an empty set")
            if not _ends_within(self._held, lifetime_s):
                return FrozenCredentials(keys.access_key, keys.secret_key, keys.token)
        raise UpstreamError("credentials-expired", f"none outlives a stream of {lifetime_s:.0f} s")


def _ends_within(credentials: ChainCredentials, lifetime_s: float) -> bool:
    return isinstance(credentials, RefreshableCredentials) and bool(
        credentials.refresh_needed(refresh_in=lifetime_s)
    )


def _settle(future: asyncio.Future[Any], result: object, error: UpstreamError | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
