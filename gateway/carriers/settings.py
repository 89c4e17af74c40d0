"""Settings that several carriers have alike. Pure."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings

from common.settings import Secrets, Url, matching
from gateway.audio.encodings import Encoding
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import CallStarted
from gateway.carriers.protocols.formats import with_encoding
from gateway.carriers.webhooks.twiml import NextStep

type ByteOrder = Literal["big", "little"]
BYTE_ORDER: Final = (
    "Byte order of tracks announced as L16. If it is wrong, the log says codec-mismatch."
)
_L16: Final[dict[ByteOrder, Encoding]] = {"big": Encoding.L16BE, "little": Encoding.L16LE}
_DIALLED: Final = "must be a number in E.164, such as +15551234567, or a sip: address"


SEVERAL: Final = "Several, separated by commas, are all accepted; the first makes tokens."

_MIN_CHARACTERS: Final = 16


def _check_given(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("one of them is empty")
    return secret


def _check_long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _MIN_CHARACTERS:
        raise ValueError(f"must have at least {_MIN_CHARACTERS} characters")
    return secret


type Secret = Annotated[SecretStr, AfterValidator(_check_given)]  # as a vendor made it
type LongSecret = Annotated[SecretStr, AfterValidator(_check_long)]  # as an operator chose it


def plain(secrets: Sequence[SecretStr] | None) -> tuple[str, ...]:
    """Return the text of secrets; empty without any."""
    return tuple(secret.get_secret_value() for secret in secrets or ())


def variable(settings: BaseSettings, field: str) -> str:
    """Name a setting as the operator knows it."""
    return f"{settings.model_config.get('env_prefix', '')}{field.upper()}"


class AudioSettings(BaseSettings):
    """Of every carrier: what its audio is, where its announcement is wrong."""

    encoding: Encoding | None = Field(
        None,
        description="Encoding of all tracks, whatever the carrier announces: pcmu, pcma, l16le or "
        "l16be. Set what the log line codec-mismatch says. Default: as announced.",
    )

    def correct(self, start: CallStarted) -> CallStarted:
        """Return the start with the encodings that the settings name."""
        return with_encoding(start, self.encoding) if self.encoding else start

    def inform[A: Adapter](self, adapter: A) -> A:
        """Make an adapter announce what the settings name; returns it."""
        adapter.correct = self.correct
        return adapter


class L16Settings(AudioSettings):
    """Of a carrier that may send 16-bit linear audio."""

    l16_byte_order: ByteOrder = Field("little", description=BYTE_ORDER)

    def correct(self, start: CallStarted) -> CallStarted:
        """Return the start with the encodings that the settings name; see `AudioSettings`."""
        if self.encoding:
            return super().correct(start)
        return with_encoding(start, _L16[self.l16_byte_order], linear_only=True)


class SecretSettings(AudioSettings):
    """Of a carrier that does not sign its upgrades."""

    secret: Secrets[LongSecret] | None = Field(
        None,
        description="16 characters or more: what its media sockets show (how: docs/carriers.md), "
        "and the key of the tokens that let single calls in. Without it, the carrier is closed. "
        + SEVERAL,
    )
    token_ttl_s: PositiveInt = Field(
        300, description="From a token's making until the stream's upgrade."
    )


class NextStepSettings(BaseSettings):
    """Of a carrier whose webhook says what a call goes on with."""

    dial: Annotated[str, matching(r"\+[0-9]{5,15}|sip:.+", _DIALLED)] | None = Field(
        None,
        repr=False,
        description="Then dial this number, E.164 or sip:.",
    )
    redirect_url: Url | None = Field(
        None, repr=False, description="Or then go on with the answer of this URL."
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.dial and self.redirect_url:
            names = variable(self, "dial"), variable(self, "redirect_url")
            raise ValueError(f"{' and '.join(names)} exclude each other")
        return self

    @property
    def next_step(self) -> NextStep:
        """What a call goes on with."""
        return NextStep(self.dial, self.redirect_url)

    @property
    def next_step_missing(self) -> str | None:
        """The settings without which an answered call would end; None if one is there."""
        names = variable(self, "dial"), variable(self, "redirect_url")
        return None if self.dial or self.redirect_url else " or ".join(names)
