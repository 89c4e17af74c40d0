"""All dialects, by the names that the routes file uses. Pure."""

from enum import StrEnum

from gateway.upstream.dialects.deepgram import Deepgram
from gateway.upstream.dialects.dialect import Dialect
from gateway.upstream.dialects.mistral import Mistral
from gateway.upstream.dialects.openai import OpenAi
from gateway.upstream.dialects.vllm_turns import VllmTurns
from gateway.upstream.dialects.voxtral import Voxtral


class DialectName(StrEnum):
    """The dialects of an endpoint in the routes file."""

    VOXTRAL = "voxtral"
    VOXTRAL_TURNS = "voxtral-turns"
    QWEN3_ASR = "qwen3-asr"
    OPENAI = "openai"
    SGLANG = "sglang"
    SPEACHES = "speaches"
    DEEPGRAM = "deepgram"
    MISTRAL = "mistral"


def fallback(dialect: Dialect) -> Dialect | None:
    """Return the dialect for a server whose times can't be trusted; None if there is no other."""
    return make_dialect(DialectName.VOXTRAL_TURNS) if isinstance(dialect, Voxtral) else None


def make_dialect(name: DialectName, *, coalesce_ms: int = 0, pause_ms: int = 1000) -> Dialect:
    """Return a dialect.

    Args:
        name: its name.
        coalesce_ms: GATEWAY_COALESCE_MS, for servers behind the container's bridge.
        pause_ms: GATEWAY_SEGMENT_PAUSE_MS, for servers that end utterances.
    """
    match name:
        case DialectName.VOXTRAL:
            return Voxtral(coalesce_ms)
        case DialectName.VOXTRAL_TURNS:
            return VllmTurns(has_headers=False, longest_turn_ms=15_000)
        case DialectName.QWEN3_ASR:
            return VllmTurns(has_headers=True, longest_turn_ms=5_000)
        case DialectName.OPENAI:
            return OpenAi(rate_hz=24_000, has_keywords=True, has_g711=True)
        case DialectName.SGLANG:
            return OpenAi(rate_hz=16_000, has_keywords=False)
        case DialectName.SPEACHES:
            return OpenAi(rate_hz=24_000, has_keywords=False, is_beta=True)
        case DialectName.DEEPGRAM:
            return Deepgram(pause_ms)
        case DialectName.MISTRAL:
            return Mistral()
