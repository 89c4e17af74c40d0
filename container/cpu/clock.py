"""The token clock: how many deltas so many samples of audio give. Pure, exact to the sample.

A token stands for 80 ms. The first needs the delay and one token more, and 40 samples of the
encoder's look-ahead; a final commit pads the audio by the delay and eleven tokens. Measured on vLLM
0.32.0 at a delay of 480 ms: the first delta at 9000 samples, 23 in all for 1 s, 35 for 2 s.
"""

from dataclasses import dataclass

RATE_HZ = 16_000
TOKEN_SAMPLES = 1280
TOKEN_MS = 80
LOOKAHEAD_SAMPLES = 40
PADDING_TOKENS = 11  # of a final commit, beside the delay
PROMPT_TOKENS = 33  # beside the delay: the beginning of the text and 32 tokens of silence


@dataclass(frozen=True, slots=True)
class TokenClock:
    """The clock of a model with a transcription delay."""

    delay_ms: int = 480

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the context that hold no audio of the caller."""
        return PROMPT_TOKENS + self.delay_ms // TOKEN_MS

    @property
    def first_delta_samples(self) -> int:
        """Samples until the first delta."""
        return (1 + self.delay_ms // TOKEN_MS) * TOKEN_SAMPLES + LOOKAHEAD_SAMPLES

    def live(self, samples: int) -> int:
        """Deltas due while more audio may come."""
        return max(0, 1 + (samples - self.first_delta_samples) // TOKEN_SAMPLES)

    def total(self, samples: int) -> int:
        """Deltas of a whole generation, its final padding included; none without audio."""
        if not samples:
            return 0
        padding = self.delay_ms // TOKEN_MS + PADDING_TOKENS
        return self.live(samples + padding * TOKEN_SAMPLES)

    def samples_for(self, deltas: int) -> int:
        """Samples that make so many deltas due."""
        return self.first_delta_samples + (deltas - 1) * TOKEN_SAMPLES
