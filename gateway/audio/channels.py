"""Split payloads with interleaved channels into one payload per channel. Pure."""

import numpy as np


class Deinterleaver:
    """Splits interleaved audio; buffers bytes until there is a sample of each channel.

    Args:
        channels: number of channels.
        sample_bytes: bytes of one sample, 1 or 2.
    """

    __slots__ = ("_channels", "_rest", "_sample_bytes")

    def __init__(self, channels: int, sample_bytes: int) -> None:
        self._channels = channels
        self._sample_bytes = sample_bytes
        self._rest = b""

    def split(self, payload: bytes) -> list[bytes]:
        """Return each channel's samples, all of the same length, in channel order."""
        data = self._rest + payload
        whole = len(data) - len(data) % (self._channels * self._sample_bytes)
        self._rest = data[whole:]
        if self._channels == 1:
            return [data[:whole]]
        if self._sample_bytes == 1:
            return [data[channel : whole : self._channels] for channel in range(self._channels)]
        samples = np.frombuffer(data, np.uint16, whole // 2).reshape(-1, self._channels)
        return [samples[:, channel].tobytes() for channel in range(self._channels)]
