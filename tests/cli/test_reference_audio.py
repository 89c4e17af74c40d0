"""The audit's reference audio equals the gateway's output, and differs if the gateway is wrong."""

import ast
import audioop
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import audit, reference_audio
from gateway.audio import pipeline
from gateway.audio.encodings import Encoding, TrackFormat, decode
from gateway.audio.pipeline import AudioChunk, TrackPipeline
from gateway.audio.polyphase import FilterDesign, PolyphaseFilter
from gateway.audio.resampler import (
    HALF_BAND,
    HALF_BAND_TAPS,
    RESAMPLERS,
    THIRD_BAND_TAPS,
    Resampler,
)
from tests.cli.test_audit import AUDIO, LENGTH_MS, Story

RATES_HZ = (8000, 16000, 24000)
CHUNK_BYTES = 2560  # 80 ms at 16 kHz


def gateway_chunks(
    payload: bytes, encoding: Encoding, rate_hz: int, frame_bytes: int
) -> list[bytes]:
    """Return the chunks that the gateway's pipeline makes of a payload cut into frames."""
    track = TrackPipeline(TrackFormat("inbound", encoding, rate_hz))
    pieces = []
    for at in range(0, len(payload), frame_bytes):
        pieces += track.receive(payload[at : at + frame_bytes], None, None)
    pieces += track.flush()
    assert all(isinstance(piece, AudioChunk) for piece in pieces)
    return [piece.pcm for piece in pieces if isinstance(piece, AudioChunk)]


def reference_chunks(payload: bytes, encoding: Encoding, rate_hz: int) -> list[bytes]:
    """Return the reference cut into chunks; the filter's delay and tail are in the last one."""
    pcm = reference_audio.expected_pcm(payload, encoding.value, rate_hz)
    chunk_payload_bytes = rate_hz * 80 // 1000 * encoding.sample_bytes
    whole = len(payload) // chunk_payload_bytes
    chunks = [pcm[at : at + CHUNK_BYTES] for at in range(0, whole * CHUNK_BYTES, CHUNK_BYTES)]
    rest = pcm[whole * CHUNK_BYTES :]
    return [*chunks, rest] if rest else chunks


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("encoding", Encoding)
@given(
    seed=st.integers(0, 2**32 - 1),
    sample_count=st.integers(0, 6000),
    frame_bytes=st.integers(1, 2000),
)
def test_gateway_output_equals_reference(
    encoding: Encoding, rate_hz: int, seed: int, sample_count: int, frame_bytes: int
) -> None:
    payload = np.random.default_rng(seed).bytes(sample_count * encoding.sample_bytes)
    chunks = gateway_chunks(payload, encoding, rate_hz, frame_bytes)
    assert chunks == reference_chunks(payload, encoding, rate_hz)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("sample", [-32768, 32767])
def test_full_scale_input_is_limited_like_the_gateway_limits_it(rate_hz: int, sample: int) -> None:
    """A step of full scale overshoots 16 bits."""
    payload = np.repeat([0, sample, -1 - sample], 500).astype("<i2").tobytes()
    chunks = gateway_chunks(payload, Encoding.L16LE, rate_hz, 320)
    assert chunks == reference_chunks(payload, Encoding.L16LE, rate_hz)


@pytest.mark.parametrize(
    ("encoding", "decode"), [("pcmu", audioop.ulaw2lin), ("pcma", audioop.alaw2lin)]
)
def test_g711_tables_equal_the_standard_library(
    encoding: str, decode: Callable[[bytes, int], bytes]
) -> None:
    octets = bytes(range(256))
    assert reference_audio.expected_pcm(octets, encoding, 16000) == decode(octets, 2)


@pytest.mark.parametrize("module", [audit, reference_audio])
def test_audit_imports_nothing_from_the_gateway(module: object) -> None:
    """A defect that the audit shared with the gateway could not be detected."""
    path = Path(str(getattr(module, "__file__", "")))
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
    }
    assert not [name for name in imported if name and name.startswith(("gateway", "container"))]


class Shifted:
    """A resampler whose output is one sample late."""

    def __init__(self, make: Callable[[], Resampler]) -> None:
        self._resampler = make()
        self._held = b"\0\0"

    def process(self, pcm: bytes) -> bytes:
        output = self._held + self._resampler.process(pcm)
        self._held = output[-2:]
        return output[:-2]

    def flush(self) -> bytes:
        return self._held + self._resampler.flush()[:-2]


def wrong_tap(taps: np.ndarray, at: int, up: int, down: int) -> Callable[[], Resampler]:
    """Return a filter with one tap that is off by 1 of 32768."""
    changed = taps.copy()
    changed[at] += 1
    return partial(PolyphaseFilter, FilterDesign(changed, up, down))


class WithoutTail(PolyphaseFilter):
    """A filter that loses its tail."""

    def flush(self) -> bytes:
        return b""


MUTANT_RESAMPLERS = {
    "outermost tap of the interpolator": (8000, wrong_tap(HALF_BAND_TAPS, 0, 2, 1)),
    "inner tap of the interpolator": (8000, wrong_tap(HALF_BAND_TAPS, 22, 2, 1)),
    "zero tap of the interpolator": (8000, wrong_tap(HALF_BAND_TAPS, 1, 2, 1)),
    "shift at 8 kHz": (8000, partial(Shifted, RESAMPLERS[8000])),
    "no tail at 8 kHz": (8000, partial(WithoutTail, HALF_BAND)),
    "shift at 16 kHz": (16000, partial(Shifted, RESAMPLERS[16000])),
    "middle tap of the decimator": (24000, wrong_tap(THIRD_BAND_TAPS, 48, 2, 3)),
    "shift at 24 kHz": (24000, partial(Shifted, RESAMPLERS[24000])),
}


@pytest.mark.parametrize(("rate_hz", "mutant"), MUTANT_RESAMPLERS.values(), ids=MUTANT_RESAMPLERS)
def test_mutated_resampler_differs_from_reference(
    monkeypatch: pytest.MonkeyPatch, rate_hz: int, mutant: Callable[[], Resampler]
) -> None:
    monkeypatch.setattr(pipeline, "RESAMPLERS", {rate_hz: mutant})
    payload = np.random.default_rng(1).bytes(rate_hz)
    chunks = gateway_chunks(payload, Encoding.L16LE, rate_hz, 320)
    assert chunks != reference_chunks(payload, Encoding.L16LE, rate_hz)


@pytest.mark.parametrize("encoding", [Encoding.PCMU, Encoding.PCMA])
@pytest.mark.parametrize("octet", [0x00, 0x55, 0x80, 0xFE])
def test_mutated_decoder_differs_from_reference(
    monkeypatch: pytest.MonkeyPatch, encoding: Encoding, octet: int
) -> None:
    """A decoder whose table has one wrong entry."""

    def mutant(encoding: Encoding, payload: bytes) -> bytes:
        samples = np.frombuffer(decode(encoding, payload), "<i2").copy()
        samples[np.frombuffer(payload, np.uint8) == octet] ^= 0x08
        return samples.tobytes()

    monkeypatch.setattr(pipeline, "decode", mutant)
    payload = np.random.default_rng(1).bytes(8000)
    chunks = gateway_chunks(payload, encoding, 16000, 160)
    assert chunks != reference_chunks(payload, encoding, 16000)


@pytest.mark.parametrize(
    "name",
    [
        "outermost tap of the interpolator",
        "inner tap of the interpolator",
        "zero tap of the interpolator",
        "shift at 8 kHz",
    ],
)
def test_audit_reports_a_gateway_with_a_mutated_resampler(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A missing tail is not among them: the audit accepts a track's last token without its tail."""
    _, mutant = MUTANT_RESAMPLERS[name]
    monkeypatch.setattr(pipeline, "RESAMPLERS", {8000: mutant})
    assert audited(gateway_chunks(AUDIO, Encoding.PCMU, 8000, 160)).wrong_ms > LENGTH_MS // 2


def test_audit_accepts_the_gateway_with_its_own_resampler() -> None:
    assert audited(gateway_chunks(AUDIO, Encoding.PCMU, 8000, 160)).whole


def audited(chunks: list[bytes]) -> audit.Account:
    """Account for a stream whose model received these chunks."""
    story = Story(b"".join(chunks))
    story.utter(0, LENGTH_MS)
    story.end()
    return story.account()
