"""Reads the channels of a recording in blocks, at any sample rate."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Self

from cli.audio.resampler import Resampler
from cli.audio.riff import MAGICS, UnknownFormatError, WavFormat, read_header
from cli.audio.samples import DECODERS, Samples, encode_pcm16, finite
from cli.errors import CommandError

_BLOCK_FRAMES: Final = 65_536  # 1.5 s at 44.1 kHz
_COMPRESSED_BLOCK_FRAMES: Final = (
    4096  # if a file is truncated, up to this many frames before its end are lost
)
_MAGIC_BYTES: Final = 12
_UNREADABLE: Final = (  # offset of a format's magic number, the number, and the format's name
    (4, b"ftyp", "M4A or MP4"),
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"#!AMR", "AMR"),
)


class Recording:
    """An open recording.

    Attributes:
        path: the file's path.
        channels: the number of channels; each is one party, as in telephony.
        rate_hz: frames per second.
    """

    def __init__(self, path: Path, channels: int, rate_hz: int, blocks: Iterator[Samples]) -> None:
        self.path = path
        self.channels = channels
        self.rate_hz = rate_hz
        self._blocks = blocks
        self._files = contextlib.ExitStack()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file and read its header.

        Raises:
            CommandError: the file cannot be read or has an unsupported format.
        """
        try:
            with contextlib.ExitStack() as files:
                opened = cls._open(path, files)
                opened._files = files.pop_all()  # noqa: SLF001 (an object of this class)
                return opened
        except OSError as error:
            raise CommandError(f"cannot read {path}: {error.strerror}") from None
        except ValueError as error:
            raise CommandError(f"cannot use {path}: {error}") from None

    @classmethod
    def _open(cls, path: Path, files: contextlib.ExitStack) -> Self:
        file = files.enter_context(path.open("rb"))
        magic = file.peek(_MAGIC_BYTES)
        if not magic:
            raise ValueError("it holds no audio")
        if magic[:4] in MAGICS:
            try:
                header = read_header(file)
            except UnknownFormatError as unknown:
                return cls._compressed(path, files, str(unknown))
            return cls(path, header.channels, header.rate_hz, _wav_blocks(file, header))
        for at, mark, name in _UNREADABLE:
            if magic[at:].startswith(mark):
                raise ValueError(_advice(f"{name} cannot be read", path))
        return cls._compressed(path, files, "no format that can be read")

    @classmethod
    def _compressed(cls, path: Path, files: contextlib.ExitStack, otherwise: str) -> Self:
        """Open a file that is not plain WAV with libsndfile.

        Args:
            path: the file's path.
            files: closes the file.
            otherwise: the error if libsndfile cannot read it either.
        """
        import soundfile  # imported here because most recordings do not need it

        if not path.is_file():  # libsndfile opens the file again and seeks
            raise ValueError("only WAV can be read from a pipe")
        try:
            sound = files.enter_context(soundfile.SoundFile(path))
        except (
            soundfile.SoundFileError,
            TypeError,
        ):  # TypeError: the file name has the suffix of a headerless format
            raise ValueError(_advice(otherwise, path)) from None

        def blocks() -> Iterator[Samples]:
            with contextlib.suppress(soundfile.SoundFileError):  # truncated: return what there is
                while len(block := sound.read(_COMPRESSED_BLOCK_FRAMES, always_2d=True)):
                    yield block

        return cls(path, sound.channels, sound.samplerate, blocks())

    def __enter__(self) -> Self:
        """Keep the file open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._files.close()

    def pcm16(self, rate_hz: int, *, mono: bool = False) -> Iterator[list[bytes]]:
        """Read the remaining audio, converted to 16-bit linear PCM.

        Args:
            rate_hz: the sample rate to convert to.
            mono: whether to mix the channels into one.

        Yields:
            For each block the PCM of each channel, equally long and never empty.

        Raises:
            CommandError: the recording contains no audio, or reading failed.
        """
        resamplers = [Resampler(self.rate_hz, rate_hz) for _ in range(1 if mono else self.channels)]
        found = False
        try:
            for block in itertools.chain(self._blocks, [None]):
                if block is None:
                    outs = [resampler.flush() for resampler in resamplers]
                else:
                    channels = finite(block).T
                    if mono:
                        channels = channels.mean(axis=0, keepdims=True)
                    outs = [
                        resampler.process(channel)
                        for resampler, channel in zip(resamplers, channels, strict=True)
                    ]
                if len(outs[0]):
                    found = True
                    yield [encode_pcm16(out) for out in outs]
        except OSError as error:
            raise CommandError(f"cannot read {self.path}: {error.strerror}") from None
        if not found:
            raise CommandError(f"cannot use {self.path}: it holds no audio")


def _wav_blocks(file: BinaryIO, header: WavFormat) -> Iterator[Samples]:
    """Yield the data chunk, up to its end or the file's; an incomplete last frame is dropped."""
    decode = DECODERS[header.kind, header.bits]
    left = header.data_bytes
    while True:
        wanted = _BLOCK_FRAMES * header.frame_bytes
        data = file.read(wanted if left is None else min(wanted, left))
        whole = len(data) // header.frame_bytes
        if not whole:
            return
        yield decode(data[: whole * header.frame_bytes]).reshape(whole, header.channels)
        left = None if left is None else left - len(data)


def _advice(what: str, path: Path) -> str:
    return f"{what}; convert it first: ffmpeg -i {path.name} {path.stem}.wav"
