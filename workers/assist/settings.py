"""The settings of the worker `assist`: `WORKER_ASSIST_<NAME>`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from common.settings import config


class Settings(BaseSettings):
    """Which rules apply to calls."""

    model_config = config("WORKER_ASSIST_", env_file=".env")

    rules: Path | None = Field(
        None,
        description="The file of rules (docs/assist.md). The worker assist does not start without. "
        "A changed file is read again within seconds.",
    )
