"""Resolve AWS credentials that are valid for a whole stream, with botocore's credential chain.

The SDK's own chain has no web identity (IRSA), and it resolves the credentials for every event. But
credentials that change during a stream break the chain of signatures. So a stream uses one frozen
set of credentials from its start to its end.
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
    """A set of credentials that does not change."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


def botocore_chain() -> ChainCredentials | None:
    """Run botocore's chain in a new session: environment, profiles, SSO, web identity, ECS, EC2."""
    return botocore.session.Session().get_credentials()


class CredentialSource:
    """Provides frozen credentials; runs the chain again when the current ones expire too soon.

    Args:
        timeout_s: for a run of the chain, because metadata services and credential processes can
            hang.
        chain: the source of the credentials. It may block, because it runs on a separate thread.
    """

    def __init__(self, *, timeout_s: float, chain: Chain = botocore_chain) -> None:
        self._timeout_s: Final = timeout_s
        self._chain: Final = chain
        self._held: ChainCredentials | None = None
        self._resolving: asyncio.Future[FrozenCredentials] | None = None

    async def frozen(self, lifetime_s: float) -> FrozenCredentials:
        """Return credentials that are valid for at least the next `lifetime_s` seconds.

        Concurrent calls share one run of the chain.

        Raises:
            UpstreamError: no-credentials, credentials-expired.
        """
        if self._resolving is None or self._resolving.done():
            self._resolving = self._start(lifetime_s)
        try:
            return await asyncio.wait_for(asyncio.shield(self._resolving), self._timeout_s)
        except TimeoutError as error:
            raise UpstreamError("no-credentials", "the credential chain timed out") from error

    def _start(self, lifetime_s: float) -> asyncio.Future[FrozenCredentials]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        # Retrieves the exception: asyncio would log it if no task were waiting for it.
        done.add_done_callback(lambda future: future.cancelled() or future.exception())

        def deliver(result: FrozenCredentials | None, error: UpstreamError | None) -> None:
            if not done.done():
                _complete(done, result, error)

        def run() -> None:
            result, error = None, None
            try:
                result = self._resolve(lifetime_s)
            except UpstreamError as failure:
                error = failure
            except Exception as failure:  # noqa: BLE001 - plugins of the chain raise any error
                error = UpstreamError("no-credentials", type(failure).__name__)
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver, result, error)

        # A daemon thread, because an executor's threads are joined at exit even if they hang.
        threading.Thread(target=run, name="aws-credentials", daemon=True).start()
        return done

    def _resolve(self, lifetime_s: float) -> FrozenCredentials:
        for fresh in (False, True):
            if fresh or self._held is None:
                self._held = self._chain()
            if self._held is None:
                raise UpstreamError("no-credentials", "the credential chain found none")
            keys = self._held.get_frozen_credentials()
            if not keys.access_key or not keys.secret_key:
                raise UpstreamError("no-credentials", "the credential chain found an empty key")
            if not _ends_within(self._held, lifetime_s):
                return FrozenCredentials(keys.access_key, keys.secret_key, keys.token)
        raise UpstreamError(
            "credentials-expired", f"they expire before the end of a stream of {lifetime_s:.0f} s"
        )


def _ends_within(credentials: ChainCredentials, lifetime_s: float) -> bool:
    return isinstance(credentials, RefreshableCredentials) and bool(
        credentials.refresh_needed(refresh_in=lifetime_s)
    )


def _complete(future: asyncio.Future[Any], result: object, error: UpstreamError | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
