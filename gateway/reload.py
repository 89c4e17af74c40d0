"""Reloads the carriers' settings at SIGHUP, so that secrets can change without a restart.

The settings are read from `.env` and from the files of GATEWAY_SECRETS_DIR; the environment of a
running process can't change. All are validated before any takes effect. If one is invalid, or would
enable or disable a carrier, none takes effect, and one line is logged. Calls that were admitted
continue.
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
    """The current settings of all carriers.

    Args:
        kinds: the classes of all carriers.
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
        """Create the carriers; log those that have some settings but lack a required one."""
        self._carriers = {kind.name: kind(self._read[kind.name]) for kind in self._kinds}
        for name, carrier in self._carriers.items():
            if self._read[name].model_fields_set and carrier.missing_setting:
                _log.warning("carrier-closed", carrier=name, needs=carrier.missing_setting)
        return [*self._carriers.values()]

    @contextlib.asynccontextmanager
    async def reloading(self, replace: Callable[[Sequence[Carrier]], None]) -> AsyncIterator[None]:
        """Reload the settings on each SIGHUP until the context exits.

        Args:
            replace: called with the carriers whose settings have changed.
        """
        requested = asyncio.Event()

        async def reload() -> None:
            while True:
                await requested.wait()
                requested.clear()
                await self._reload(replace)

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, requested.set)
        task = asyncio.create_task(reload(), name="reload")
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            task.cancel()
            await asyncio.wait([task])

    async def _reload(self, replace: Callable[[Sequence[Carrier]], None]) -> None:
        try:
            read = await asyncio.to_thread(self._load)  # takes about 15 ms
            changed = [kind for kind in self._kinds if read[kind.name] != self._read[kind.name]]
            carriers = {kind.name: kind(read[kind.name]) for kind in changed}
            for name, carrier in carriers.items():
                _check_renewal(self._carriers[name], carrier)
        except SettingsError as error:
            _log.error("settings-reload-failed", problem=str(error))
        except Exception as error:  # noqa: BLE001  # any file content; the text may quote secrets
            _log.error("settings-reload-failed", problem=type(error).__name__)
        else:
            self._read = read
            self._carriers |= carriers
            replace([*carriers.values()])
            _log.info("settings-reloaded", carriers=[*carriers])

    def _load(self) -> Mapping[str, BaseSettings]:
        return {kind.name: load(kind.Settings, (), self._secrets_dir) for kind in self._kinds}


def _check_renewal(old: Carrier, new: Carrier) -> None:
    """Check that the new settings of a carrier can take effect while the gateway runs.

    Raises:
        SettingsError: they cannot; the gateway must be restarted.
    """
    if _missing_settings(old) != _missing_settings(new):
        raise SettingsError(
            f"{new.name}: restart the gateway to enable or disable a carrier or its webhook"
        )
    if isinstance(old, OpenIdCarrier) and isinstance(new, OpenIdCarrier):
        if (old.openid and old.openid.source) != (new.openid and new.openid.source):
            raise SettingsError(f"{new.name}: restart the gateway to change the token issuer")
        new.openid = old.openid  # keeps the keys that were fetched


def _missing_settings(carrier: Carrier) -> tuple[str | None, ...]:
    webhook = carrier.webhook_missing_setting if isinstance(carrier, ForkingCarrier) else None
    return carrier.missing_setting, webhook
