"""The settings of governance: `WORKER_GOVERN_<NAME>`."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat
from pydantic_settings import BaseSettings

from common.settings import Names, config
from workers.governance.retention import Retention, RetentionError, parse


def _check_file(path: Path | None) -> Path | None:
    if path is not None:
        read_retention(path)
    return path


def read_retention(path: Path | None) -> Retention:
    """Return the retention of a file; no rules without a file.

    Raises:
        ValueError: the file can't be read, or is not valid.
    """
    if path is None:
        return Retention()
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ValueError("must be a file that can be read") from None
    except RetentionError as error:
        raise ValueError(f"is not valid: {error}") from None


class Settings(BaseSettings):
    """How long calls are kept, and where the ledger of erased calls is."""

    model_config = config("WORKER_GOVERN_", env_file=".env")

    retention: Annotated[Path | None, AfterValidator(_check_file)] = Field(
        None,
        description="A TOML file with durations by tenant and route (docs/governance.md). Empty: "
        "only the gateways' and workers' own retention applies.",
    )
    sweep_s: PositiveFloat = Field(
        300,
        description="How often the worker govern looks for calls in Redis whose time is over, and "
        "for erased calls that a restored backup brought back, in seconds.",
    )
    archive_sweep_s: PositiveFloat = Field(
        86_400,
        description="The same for calls in the archive and in the search index, of which all calls "
        "are listed. It is also done when the worker starts.",
    )
    ledger_dir: Path | None = Field(
        None,
        description="A folder for a second copy of the ledger of erased calls, on a disk that is "
        "not restored together with Redis. Empty: the ledger is only in Redis and, if there is "
        "one, in the archive.",
    )
    spool_dirs: Annotated[Names, Field(max_length=16)] = Field(
        (),
        description="Folders of gateways' spools that this process can read (GATEWAY_SPOOL_DIR), "
        "comma-separated. Erasure waits until nothing of a call is in them, and removes what "
        "gateways that no longer run left there.",
    )
    audit_keep_days: NonNegativeInt = Field(
        0, description="How long entries of the audit trail are kept, in days. 0: forever."
    )
