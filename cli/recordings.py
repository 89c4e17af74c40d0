"""What a call plays: recordings of the user's, or human speech from the speech model's package."""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from cli.errors import CommandError
from cli.wav import MULAW_SILENCE, RATE_HZ, read_mulaw, read_parties

Inbound = Annotated[
    Path | None,
    typer.Option(help="Recording of the customer; with two channels, of both. Default: a scene."),
]
Outbound = Annotated[Path | None, typer.Option(help="Recording of the agent.")]
Mono = Annotated[bool, typer.Option("--mono", help="Mix each file's channels into one party.")]

_TURN_GAP_S: Final = 0.5  # nagg_and_nell() is silent for so long only where the speaker changes
_LONGER_PAUSE_BYTES: Final = RATE_HZ * 3 // 10  # after a turn: read aloud, they follow hard
_STEP_BYTES: Final = RATE_HZ // 50  # 20 ms


def two_cities() -> Path:
    """One reader: the opening of A Tale of Two Cities, 44 s."""
    return _recording("two_cities.wav")


def nagg_and_nell() -> Path:
    """Two speakers who take turns, from Endgame, 28 s; on one channel."""
    return _recording("endgame_nagg_nell.wav")


def read_tracks(
    inbound: Path | None, outbound: Path | None, *, mono: bool = False
) -> dict[str, bytes]:
    """Read a call's two tracks as mu-law; the scene from Endgame if no file is given.

    Args:
        inbound: the customer; or both parties, the customer in the first of two channels.
        outbound: the agent; silent if only `inbound` is given.
        mono: mix each file's channels into one party.

    Raises:
        CommandError: a file cannot be read, or has more parties than it may.
    """
    if inbound is None and outbound is None:
        return conversation(read_mulaw(nagg_and_nell()))
    heard = [[] if path is None else read_parties(path, mono=mono) for path in (inbound, outbound)]
    if outbound is None and len(heard[0]) == 2:
        heard = [[party] for party in heard[0]]
    for path, parties in zip((inbound, outbound), heard, strict=True):
        if len(parties) > 1:
            raise CommandError(
                f"{path} has {len(parties)} channels, a party each: give a file of two channels as "
                "--inbound alone, or mix the channels with --mono"
            )
    length = max(len(party) for parties in heard for party in parties)
    silence = MULAW_SILENCE * length
    customer, agent = (parties[0] if parties else silence for parties in heard)
    return {"inbound": customer, "outbound": agent}


def conversation(audio: bytes) -> dict[str, bytes]:
    """Put each speaker of a recording on a track of their own.

    Args:
        audio: mu-law of two who take turns, half a second of silence after each.
    """
    tracks = {"inbound": bytearray(), "outbound": bytearray()}
    for number, (begin, end) in enumerate(_turns(audio)):
        speaking = "outbound" if number % 2 else "inbound"
        for name, track in tracks.items():
            track += audio[begin:end] if name == speaking else MULAW_SILENCE * (end - begin)
            track += MULAW_SILENCE * _LONGER_PAUSE_BYTES
    return {name: bytes(track) for name, track in tracks.items()}


def _turns(audio: bytes) -> Iterator[tuple[int, int]]:
    """Find the stretches of sound between long silences, each with half of the silence around."""
    sound = np.frombuffer(audio, np.uint8) & 0x7F < 0x7F - 8  # louder than the line's noise
    steps = np.add.reduceat(sound, np.arange(0, len(audio), _STEP_BYTES)) > 0
    loud = np.flatnonzero(steps) * _STEP_BYTES
    breaks = np.flatnonzero(np.diff(loud) > _TURN_GAP_S * RATE_HZ)
    middles = (loud[breaks] + loud[breaks + 1]) // 2
    edges = [0, *middles.tolist(), len(audio)]
    yield from pairwise(edges)


def _recording(name: str) -> Path:
    spec = find_spec("moonshine_voice")  # importing it would load the model's library
    if not spec or not spec.origin:
        raise CommandError("the recordings are missing: package moonshine-voice is not installed")
    return Path(spec.origin).parent / "assets" / name
