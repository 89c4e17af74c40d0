"""Reloads the carriers' settings and the routes file at SIGHUP.

Secrets, capacities and routes can so change, and an endpoint can be drained, without a restart. The
carriers' settings are read from `.env` and from the files of GATEWAY_SECRETS_DIR; the environment
of a running process can't change. All are validated before any takes effect. If one is invalid, or
needs a restart, none takes effect, and one line is logged. Calls that were admitted continue.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from pydantic_settings import BaseSettings

from common.settings import SettingsError, load
from gateway.admission.routes import Routes, load_routes
from gateway.carriers.carrier import Carrier, ForkingCarrier, OpenIdCarrier
from gateway.settings import Settings

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

    def read_changes(self) -> "CarrierChanges":
        """Read the settings again, and create the carriers whose settings have changed.

        Raises:
            SettingsError: a setting is invalid, or its change needs a restart.
        """
        read = self._load()
        changed = [kind for kind in self._kinds if read[kind.name] != self._read[kind.name]]
        carriers = {kind.name: kind(read[kind.name]) for kind in changed}
        for name, carrier in carriers.items():
            _check_renewal(self._carriers[name], carrier)
        return CarrierChanges(read, carriers)

    def apply(self, changes: "CarrierChanges") -> None:
        """Keep changes as the current settings."""
        self._read = changes.read
        self._carriers |= changes.carriers

    def _load(self) -> Mapping[str, BaseSettings]:
        return {kind.name: load(kind.Settings, (), self._secrets_dir) for kind in self._kinds}


class CarrierChanges(NamedTuple):
    """The settings of all carriers, and new carriers by name where they have changed."""

    read: Mapping[str, BaseSettings]
    carriers: Mapping[str, Carrier]


@contextlib.asynccontextmanager
async def reloading(
    settings: Settings,
    carriers: CarrierSettings,
    replace_carriers: Callable[[Sequence[Carrier]], None],
    replace_routes: Callable[[Routes], None],
) -> AsyncIterator[None]:
    """Reload the carriers' settings and the routes on each SIGHUP until the context exits.

    Args:
        settings: the gateway's settings; they do not change.
        carriers: the carriers' settings.
        replace_carriers: called with the carriers whose settings have changed.
        replace_routes: called with all routes; may raise SettingsError.
    """
    requested = asyncio.Event()

    async def reload() -> None:
        while True:
            await requested.wait()
            requested.clear()
            try:
                # Takes about 15 ms.
                changes = await asyncio.to_thread(carriers.read_changes)
                replace_routes(await asyncio.to_thread(load_routes, settings))
            except SettingsError as error:
                _log.error("settings-reload-failed", problem=str(error))
            except Exception as error:  # noqa: BLE001  # any file content; the text may quote secrets
                _log.error("settings-reload-failed", problem=type(error).__name__)
            else:
                carriers.apply(changes)
                replace_carriers([*changes.carriers.values()])
                _log.info("settings-reloaded", carriers=[*changes.carriers])

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, requested.set)
    task = asyncio.create_task(reload(), name="reload")
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        await asyncio.wait([task])


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
