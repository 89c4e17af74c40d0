"""The engine's settings: `ENGINE_<NAME>`."""

from enum import StrEnum
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from common.settings import Port, config
from container.cpu.clock import TOKEN_MS, TokenClock
from container.cpu.generation import Rules
from container.cpu.mistral import MistralRules
from container.cpu.openai_protocol import OpenAiServer


class ModelName(StrEnum):
    """What turns the audio into text."""

    MOONSHINE = "moonshine"
    CHECKSUM = "checksum"


class Realtime(StrEnum):
    """The model whose output the Realtime API imitates."""

    VOXTRAL = "voxtral"
    QWEN3_ASR = "qwen3-asr"


# Of a segment, as vLLM limits it. Checksums are limited less: 5 s of them are more than any speech.
_SEGMENT_TOKENS = {ModelName.MOONSHINE: 64, ModelName.CHECKSUM: 128}


class Settings(BaseSettings):
    """One engine process's settings."""

    model_config = config("ENGINE_")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8081, description="Port of the API, health and metrics.")
    model: ModelName = Field(
        ModelName.MOONSHINE,
        description="moonshine outputs words; checksum outputs checksums of the received audio.",
    )
    realtime: Realtime = Field(
        Realtime.VOXTRAL,
        description="Output on /v1/realtime: voxtral sends a delta per 80 ms of audio; qwen3-asr "
        "sends segments of 5 s, each after a header with the language.",
    )
    served_model_name: str = Field(
        "mistralai/Voxtral-Mini-4B-Realtime-2602",
        min_length=1,
        description="The model name that clients must select. The default is Voxtral's.",
    )
    max_num_seqs: int = Field(
        256,
        ge=1,
        description="Generations at once (vLLM's default). Further ones wait for a slot; their "
        "clients are not notified.",
    )
    max_model_len: int = Field(
        131_072,
        description="Tokens of context. A generation uses 39 and 12.5 per second of audio.",
    )
    delay_ms: int = Field(
        480, ge=80, le=2400, multiple_of=TOKEN_MS, description="Transcription delay in ms."
    )
    openai_server: OpenAiServer = Field(
        OpenAiServer.STREAMING,
        description="How /v1/realtime?intent=transcription behaves: as OpenAI with a model that "
        "shows text while audio arrives (streaming), as OpenAI with a model that answers items and "
        "may detect voice (items), as SGLang (sglang), or as Speaches (speaches).",
    )
    api_key: SecretStr | None = Field(
        None,
        min_length=1,
        description="If set, clients must send it as a bearer token.",
    )

    mistral_segments: bool = Field(
        True, description="In Mistral's protocol: send segments, with times."
    )
    mistral_turns: bool = Field(
        True, description="In Mistral's protocol: accept turn detection, which clients request."
    )

    @model_validator(mode="after")
    def _context_holds_audio(self) -> Self:
        least = TokenClock(self.delay_ms).prompt_tokens + 1
        if self.max_model_len < least:
            raise ValueError(f"ENGINE_MAX_MODEL_LEN: must be at least {least} at this delay")
        return self

    def rules(self) -> Rules:
        """Return the limits and settings of every session."""
        is_segmented = self.realtime is Realtime.QWEN3_ASR
        return Rules(
            self.served_model_name,
            TokenClock(self.delay_ms),
            self.max_model_len,
            segment_tokens=_SEGMENT_TOKENS[self.model] if is_segmented else None,
            interpolates=self.model is not ModelName.CHECKSUM,
        )

    def mistral(self) -> MistralRules:
        """Return what is sent beside text in Mistral's protocol."""
        return MistralRules(self.mistral_segments, self.mistral_turns)
