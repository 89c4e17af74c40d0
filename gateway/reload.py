"""The carriers' settings, read again at SIGHUP: secrets are changed without a restart.

They are read from `.env` and from the files of GATEWAY_SECRETS_DIR; the environment of a process
can't change. All are validated before any takes effect. If one is wrong, or would open or close a
carrier, all stay as they were, with one line in the log. Live calls go on as they were let in.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic_settings import BaseSettings

from common.settings import SettingsError, load
from gateway.carriers.carrier import Carrier, ForkingCarrier, OpenIdCarrier

_log = structlog.get_logger()


class CarrierSettings:
    """The settings of all carriers, as they were read last.

    Args:
        kinds: the carriers' classes.
        secrets_dir: GATEWAY_SECRETS_DIR.

    Raises:
        SettingsError: as `load`.
    """

    def __init__(self, kinds: Iterable[Any], secrets_dir: Path | None = None) -> None:
        self._kinds: Final = tuple(kinds)
        self._secrets_dir = secrets_dir
        self._read = self._load()
        self._carriers: dict[str, Carrier] = {}

    def make(self) -> list[Carrier]:
        """Make the carriers; logs which are set, but not sufficiently to open them."""
        self._carriers = {kind.name: kind(self._read[kind.name]) for kind in self._kinds}
        for name, carrier in self._carriers.items():
            if self._read[name].model_fields_set and carrier.missing_setting:
                _log.warning("carrier-closed", carrier=name, needs=carrier.missing_setting)
        return [*self._carriers.values()]

    @contextlib.asynccontextmanager
    async def reloading(self, renew: Callable[[Sequence[Carrier]], None]) -> AsyncIterator[None]:
        """Read the settings again at each SIGHUP, as long as the context lasts.

        Args:
            renew: takes the carriers whose settings have changed.
        """
        asked = asyncio.Event()

        async def reload() -> None:
            while True:
                await asked.wait()
                asked.clear()
                await self._reload(renew)

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        task = asyncio.create_task(reload(), name="reload")
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            task.cancel()
            await asyncio.wait([task])

    async def _reload(self, renew: Callable[[Sequence[Carrier]], None]) -> None:
        try:
            read = await asyncio.to_thread(self._load)  # some 15 ms
            changed = [kind for kind in self._kinds if read[kind.name] != self._read[kind.name]]
            carriers = {kind.name: kind(read[kind.name]) for kind in changed}
            for name, carrier in carriers.items():
                _check_renewal(self._carriers[name], carrier)
        except SettingsError as error:
            _log.error("settings-reload-failed", problem=str(error))
        except Exception as error:  # noqa: BLE001  # a file may be anything; its text is not told
            _log.error("settings-reload-failed", problem=type(error).__name__)
        else:
            self._read = read
            self._carriers |= carriers
            renew([*carriers.values()])
            _log.info("settings-reloaded", carriers=[*carriers])

    def _load(self) -> Mapping[str, BaseSettings]:
        return {kind.name: load(kind.Settings, (), self._secrets_dir) for kind in self._kinds}


def _check_renewal(old: Carrier, new: Carrier) -> None:
    """Check that a carrier can take the place of another one while the gateway runs.

    Raises:
        SettingsError: it can't.
    """
    if _wants(old) != _wants(new):
        raise SettingsError(f"{new.name}: to open or close a carrier or its webhook, restart")
    if isinstance(old, OpenIdCarrier) and isinstance(new, OpenIdCarrier):
        if (old.openid and old.openid.source) != (new.openid and new.openid.source):
            raise SettingsError(f"{new.name}: to change whose tokens are accepted, restart")
        new.openid = old.openid  # whose keys are kept


def _wants(carrier: Carrier) -> tuple[str | None, ...]:
    webhook = carrier.webhook_closed_for_want_of if isinstance(carrier, ForkingCarrier) else None
    return carrier.missing_setting, webhook
