"""Audio for a call: the user's recordings, or speech from the speech model's package."""

import audioop
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from cli.audio.recording import Recording
from cli.callers.call import MULAW_SILENCE, RATE_HZ
from cli.errors import CommandError

Inbound = Annotated[
    Path | None,
    typer.Option(
        help="Recording of the customer, or of both parties if it has two channels. Default: "
        "a scene for two actors."
    ),
]
Outbound = Annotated[Path | None, typer.Option(help="Recording of the agent.")]
Mono = Annotated[bool, typer.Option("--mono", help="Mix the channels of each file into one party.")]

_TURN_GAP_S: Final = 0.5  # in nagg_and_nell(), only changes of speaker have pauses this long
_LONGER_PAUSE_BYTES: Final = RATE_HZ * 3 // 10  # added to each: the actors pause too briefly
_STEP_BYTES: Final = RATE_HZ // 50  # 20 ms


def two_cities() -> Path:
    """Return the path of the opening of A Tale of Two Cities: one reader, 44 s."""
    return _recording("two_cities.wav")


def nagg_and_nell() -> Path:
    """Return the path of a scene from Endgame: two speakers on one channel, 28 s."""
    return _recording("endgame_nagg_nell.wav")


def read_tracks(
    inbound: Path | None, outbound: Path | None, *, mono: bool = False
) -> dict[str, bytes]:
    """Read a call's two tracks as mu-law; without files, return the scene from Endgame.

    Args:
        inbound: recording of the customer, or of both parties with the customer in the first of two
            channels.
        outbound: recording of the agent, who is silent if only `inbound` is given.
        mono: mix the channels of each file into one party.

    Raises:
        CommandError: a file cannot be read or has too many channels.
    """
    if inbound is None and outbound is None:
        return conversation(read_mulaw(nagg_and_nell()))
    files = [[] if path is None else read_parties(path, mono=mono) for path in (inbound, outbound)]
    if outbound is None and len(files[0]) == 2:
        files = [[party] for party in files[0]]
    for path, parties in zip((inbound, outbound), files, strict=True):
        if len(parties) > 1:
            raise CommandError(
                f"{path} has {len(parties)} channels, a party each: pass one file with two "
                "channels as --inbound, or mix the channels with --mono"
            )
    length = max(len(party) for parties in files for party in parties)
    silence = MULAW_SILENCE * length
    customer, agent = (parties[0] if parties else silence for parties in files)
    return {"inbound": customer, "outbound": agent}


def conversation(audio: bytes) -> dict[str, bytes]:
    """Separate the speakers of a recording into two tracks.

    Args:
        audio: mu-law of two people who take turns, with 0.5 s of silence after each turn.
    """
    tracks = {"inbound": bytearray(), "outbound": bytearray()}
    for number, (begin, end) in enumerate(_turns(audio)):
        speaking = "outbound" if number % 2 else "inbound"
        for name, track in tracks.items():
            track += audio[begin:end] if name == speaking else MULAW_SILENCE * (end - begin)
            track += MULAW_SILENCE * _LONGER_PAUSE_BYTES
    return {name: bytes(track) for name, track in tracks.items()}


def _turns(audio: bytes) -> Iterator[tuple[int, int]]:
    """Yield the spans of the turns; they meet in the middle of the silence between them."""
    sound = np.frombuffer(audio, np.uint8) & 0x7F < 0x7F - 8  # louder than line noise
    steps = np.add.reduceat(sound, np.arange(0, len(audio), _STEP_BYTES)) > 0
    loud = np.flatnonzero(steps) * _STEP_BYTES
    breaks = np.flatnonzero(np.diff(loud) > _TURN_GAP_S * RATE_HZ)
    middles = (loud[breaks] + loud[breaks + 1]) // 2
    edges = [0, *middles.tolist(), len(audio)]
    yield from pairwise(edges)


def read_parties(path: Path, *, mono: bool = False) -> list[bytes]:
    """Read a recording as mu-law, one byte per sample: each channel, or all mixed into one.

    The file is converted in blocks, so that memory holds only the result: 8 kB per second and
    channel.

    Raises:
        CommandError: the file is missing, unreadable, or contains no audio in a supported format.
    """
    parties: list[bytearray] = []
    with Recording.open(path) as recording:
        for channels in recording.pcm16(RATE_HZ, mono=mono):
            parties = parties or [bytearray() for _ in channels]
            for party, pcm in zip(parties, channels, strict=True):
                party += audioop.lin2ulaw(pcm, 2)
    return [bytes(party) for party in parties]


def read_mulaw(path: Path) -> bytes:
    """Read a recording as mu-law, with its channels mixed into one.

    Raises:
        CommandError: see `read_parties`.
    """
    return read_parties(path, mono=True)[0]


def _recording(name: str) -> Path:
    spec = find_spec("moonshine_voice")  # an import would load the model's library
    if not spec or not spec.origin:
        raise CommandError(
            "the recordings are missing: the package moonshine-voice is not installed"
        )
    return Path(spec.origin).parent / "assets" / name
