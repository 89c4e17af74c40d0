"""The token clock: computes how many deltas are due for a number of samples. Pure.

A token covers 80 ms. The first delta is due after the transcription delay, one more token and the
40 samples of the encoder's look-ahead. A final commit pads the audio by the delay and eleven
tokens. The results are exact to the sample. Measured on vLLM 0.32.0 at a delay of 480 ms: the first
delta at 9000 samples, 23 deltas for 1 s, 35 for 2 s.
"""

from dataclasses import dataclass

RATE_HZ = 16_000
TOKEN_SAMPLES = 1280
TOKEN_MS = 80
LOOKAHEAD_SAMPLES = 40
PADDING_TOKENS = 11  # that a final commit adds to those of the delay
PROMPT_TOKENS = 33  # the beginning-of-text token and 32 tokens of silence; the delay's come on top


@dataclass(frozen=True, slots=True)
class TokenClock:
    """The token clock of a model with a given transcription delay."""

    delay_ms: int = 480

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the context that are not used for the caller's audio."""
        return PROMPT_TOKENS + self.delay_ms // TOKEN_MS

    @property
    def first_delta_samples(self) -> int:
        """Samples after which the first delta is due."""
        return (1 + self.delay_ms // TOKEN_MS) * TOKEN_SAMPLES + LOOKAHEAD_SAMPLES

    def live(self, samples: int) -> int:
        """Return the number of deltas that are due while more audio may follow."""
        return max(0, 1 + (samples - self.first_delta_samples) // TOKEN_SAMPLES)

    def total(self, samples: int) -> int:
        """Return the number of deltas of a whole generation with its padding; 0 without audio."""
        if not samples:
            return 0
        padding = self.delay_ms // TOKEN_MS + PADDING_TOKENS
        return self.live(samples + padding * TOKEN_SAMPLES)

    def samples_for(self, deltas: int) -> int:
        """Return the number of samples after which `deltas` deltas are due."""
        return self.first_delta_samples + (deltas - 1) * TOKEN_SAMPLES
