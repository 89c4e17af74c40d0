"""Settings that several carriers have alike. Pure."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings

from gateway.audio.encodings import Encoding
from gateway.carriers.twiml import NextStep
from process.settings import Url, matching

# Of a carrier whose page has L16 but does not tell it: a setting, `l16_byte_order`.
type ByteOrder = Literal["big", "little"]
L16: Final[dict[ByteOrder, Encoding]] = {"big": Encoding.L16BE, "little": Encoding.L16LE}
_DIALLED: Final = "must be a number in E.164, such as +15551234567, or a sip: address"
BYTE_ORDER: Final = "Of L16, if the carrier is asked for it; noise for words means the other one."


def plain(secret: SecretStr | None) -> str:
    """Give a secret's text; empty without one."""
    return secret.get_secret_value() if secret else ""


def variable(settings: BaseSettings, field: str) -> str:
    """Name a setting as the operator knows it."""
    return f"{settings.model_config.get('env_prefix', '')}{field.upper()}"


class SecretSettings(BaseSettings):
    """Of a carrier that does not sign its upgrades."""

    secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="16 characters or more: what its media sockets show (how: docs/carriers.md), "
        "and the key of the tokens that let single calls in. Without it, the carrier is closed.",
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
