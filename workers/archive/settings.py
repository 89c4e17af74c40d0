"""The settings of the archive: `WORKER_ARCHIVE_<NAME>`."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, NonNegativeFloat, model_validator
from pydantic_settings import BaseSettings

from common.settings import config
from workers.settings import Texts

_SCHEMES = ("s3://", "gs://", "az://", "file:///")


class Encryption(StrEnum):
    """Encryption by S3 with its own key, or with one of AWS KMS."""

    BUCKET = ""  # as the bucket is configured
    S3 = "AES256"
    KMS = "aws:kms"
    KMS_TWICE = "aws:kms:dsse"


def _check_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    is_named = scheme == "file" or rest.partition("/")[0]
    if url and not (url.startswith(_SCHEMES) and is_named and not set(rest) & set("?#@")):
        raise ValueError(
            "must be file:///folder, s3://bucket/prefix, gs://bucket/prefix or "
            "az://container/prefix, without credentials"
        )
    return url.rstrip("/")


class Settings(BaseSettings):
    """Where calls are archived, and when."""

    model_config = config("WORKER_ARCHIVE_", env_file=".env")

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        "",
        description="Where: file:///folder, s3://bucket/prefix, gs://bucket/prefix or "
        "az://container/prefix. The worker archive does not start without it. Credentials "
        "are those of the environment: AWS_..., GOOGLE_..., AZURE_..., or of the machine's role.",
    )
    text: Texts = Field(
        Texts.REDACTED,
        description="Which text: redacted (from the worker redact), raw, or both. Each has a "
        "folder of its own under the URL.",
    )
    grace_s: NonNegativeFloat = Field(
        120,
        le=86_400,
        description="How long a call must be over before it is archived, in seconds: no stream of "
        "it started again, and no alert or wrap-up was added. What comes later makes a new "
        "revision.",
    )
    encryption: Encryption = Field(
        Encryption.BUCKET,
        description="Encryption by S3: AES256, aws:kms or aws:kms:dsse. Empty: as the bucket is "
        "configured.",
    )
    kms_key: str = Field(
        "",
        description="The KMS key for aws:kms and aws:kms:dsse, as ARN or id. Empty: the account's "
        "default.",
    )

    @model_validator(mode="after")
    def _check_encryption(self) -> Self:
        if self.encryption and not self.url.startswith("s3://"):
            raise ValueError(
                "WORKER_ARCHIVE_ENCRYPTION needs an s3:// URL; elsewhere, configure the bucket"
            )
        if self.kms_key and self.encryption not in (Encryption.KMS, Encryption.KMS_TWICE):
            raise ValueError("WORKER_ARCHIVE_KMS_KEY needs WORKER_ARCHIVE_ENCRYPTION=aws:kms")
        return self
