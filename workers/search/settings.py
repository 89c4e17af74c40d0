"""The settings of search: `WORKER_SEARCH_<NAME>`."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings

from common.settings import config
from workers.settings import Texts

DATABASES: Final = ("postgresql://", "postgres://")


def _check_database(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(DATABASES):
        raise ValueError("must be a URL that begins with postgresql://")
    return url


class Settings(BaseSettings):
    """What is searchable, and where the index is."""

    model_config = config("WORKER_SEARCH_", env_file=".env")

    path: Path = Field(
        Path("search"),
        description="The folder of the index: raw.sqlite and redacted.sqlite. The worker writes to "
        "it; the relay and `./run search` on the same machine read it. It contains what was said: "
        "keep it on an encrypted disk.",
    )
    text: Texts = Field(
        Texts.REDACTED,
        description="Which text the worker indexes: redacted (from the worker redact), raw, or "
        "both, in separate indexes. A viewer of redacted text only gets results of the redacted "
        "one.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_check_database)] | None = Field(
        None,
        description="Use PostgreSQL instead of files: postgresql://user:password@host/database. "
        "Needs the extra search-postgres. Secret, because it may contain a password.",
    )
    timeout_s: PositiveFloat = Field(
        2.0,
        le=60,
        description="How long one search may take, in seconds. A search that takes longer returns "
        "what it has found.",
    )
