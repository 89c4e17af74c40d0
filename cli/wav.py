"""Recordings as telephone audio: 8 kHz, G.711 mu-law."""

import audioop
from pathlib import Path
from typing import Final

from cli.audio.recording import Recording

RATE_HZ: Final = 8000
MULAW_SILENCE: Final = b"\xff"


def read_parties(path: Path, *, mono: bool = False) -> list[bytes]:
    """Read a recording as mu-law, one byte a sample: each channel, or all mixed into one.

    It is converted in blocks: what stays in memory is 8 kB per second and channel.

    Raises:
        CommandError: the file is missing, unreadable or holds no audio that we understand.
    """
    parties: list[bytearray] = []
    with Recording.open(path) as recording:
        for channels in recording.pcm16(RATE_HZ, mono=mono):
            parties = parties or [bytearray() for _ in channels]
            for party, pcm in zip(parties, channels, strict=True):
                party += audioop.lin2ulaw(pcm, 2)
    return [bytes(party) for party in parties]


def read_mulaw(path: Path) -> bytes:
    """Read a recording as mu-law, its channels mixed into one.

    Raises:
        CommandError: as `read_parties`.
    """
    return read_parties(path, mono=True)[0]
