"""The engine's settings: `ENGINE_<NAME>`."""

from enum import StrEnum
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from common.settings import Port, config
from container.cpu.clock import TOKEN_MS, TokenClock
from container.cpu.generation import Rules


class ModelName(StrEnum):
    """What makes text of the audio."""

    MOONSHINE = "moonshine"
    CHECKSUM = "checksum"


class Settings(BaseSettings):
    """One engine process's settings."""

    model_config = config("ENGINE_")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8081, description="Port of the API, health and metrics.")
    model: ModelName = Field(
        ModelName.MOONSHINE, description="moonshine: words; checksum: proofs of what arrived."
    )
    served_model_name: str = Field(
        "mistralai/Voxtral-Mini-4B-Realtime-2602",
        min_length=1,
        description="The name clients must ask for; the default is that of the model we stand for.",
    )
    max_num_seqs: int = Field(
        256, ge=1, description="Generations at once (vLLM's default); more wait in silence."
    )
    max_model_len: int = Field(
        131_072, description="Tokens of context: 12.5 per second of audio, and 39 more."
    )
    delay_ms: int = Field(
        480, ge=80, le=2400, multiple_of=TOKEN_MS, description="The transcription delay, in ms."
    )
    api_key: SecretStr | None = Field(
        None, min_length=1, description="If set, the API asks for it as a bearer token."
    )

    @model_validator(mode="after")
    def _context_holds_audio(self) -> Self:
        least = TokenClock(self.delay_ms).prompt_tokens + 1
        if self.max_model_len < least:
            raise ValueError(f"ENGINE_MAX_MODEL_LEN: must be at least {least} at this delay")
        return self

    def rules(self) -> Rules:
        """What every session is held to."""
        return Rules(self.served_model_name, TokenClock(self.delay_ms), self.max_model_len)
