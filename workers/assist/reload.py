"""The rules in force: reads the file again when it changes; a bad file changes nothing."""

import hashlib
import logging
import time
from pathlib import Path
from typing import Final

from common.settings import SettingsError
from workers.assist.load import RulesError, RulesUnreadableError, compile_file, read_file
from workers.assist.metrics import Metrics

_log = logging.getLogger("workers.assist")

_CHECK_S: Final = 1.0  # between two looks at the file
_MOST_SHOWN: Final = 5  # problems in the log


class RulesInForce:
    """The rules of a file, which is read again when its contents change.

    Args:
        path: the file.
        metrics: receives the results.

    Attributes:
        current: the rules in force.

    Raises:
        SettingsError: the file can't be used at the start.
    """

    def __init__(self, path: Path, metrics: Metrics) -> None:
        self._path = path
        self._metrics = metrics
        self._checked_s = time.monotonic()
        try:
            data = read_file(path)
            self.current = compile_file(data)
        except (RulesError, RulesUnreadableError) as error:
            lines = "; ".join(str(error).splitlines()[:_MOST_SHOWN])
            raise SettingsError(f"WORKER_ASSIST_RULES: {path}: {lines}") from None
        self._seen: bytes | str = hashlib.sha256(data).digest()  # or why it could not be read
        metrics.rules.set(len(self.current.rules))
        _log.info("assist-rules-loaded rules=%d", len(self.current.rules))

    def check(self) -> None:
        """Read the file again if it was not read lately, and use it if it is another one."""
        now_s = time.monotonic()
        if now_s - self._checked_s < _CHECK_S:
            return
        self._checked_s = now_s
        self.reload()

    def reload(self) -> None:
        """Read the file, and use it if it is another one than before."""
        try:
            data = read_file(self._path)
        except RulesUnreadableError as error:
            if self._seen != str(error):
                self._seen = str(error)
                self._refuse([str(error)])
            return
        digest = hashlib.sha256(data).digest()
        if digest != self._seen:
            self._seen = digest  # also of a bad file, so that it is reported once
            self._use(data)

    def _use(self, data: bytes) -> None:
        try:
            self.current = compile_file(data)
        except (RulesError, RulesUnreadableError) as error:
            self._refuse(str(error).splitlines())
            return
        self._metrics.rule_reloads_total.labels("loaded").inc()
        self._metrics.rules.set(len(self.current.rules))
        _log.info("assist-rules-loaded rules=%d", len(self.current.rules))

    def _refuse(self, problems: list[str]) -> None:
        self._metrics.rule_reloads_total.labels("refused").inc()
        _log.error(
            "assist-rules-refused problems=%d %s",
            len(problems),
            "; ".join(problems[:_MOST_SHOWN]),
        )
