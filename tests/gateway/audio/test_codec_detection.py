"""Codec detection: no finding for a right announcement, and a finding for every wrong one."""

import audioop
import functools
import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.codec_detection import CodecDetector
from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import TrackPipeline
from tests.gateway.audio.sounds import SOUNDS, Wave, made
from tests.speech import recording

RECORDINGS = ("two_cities.wav", "beckett.wav", "endgame_nagg_nell.wav")
FORMATS = [
    (Encoding.PCMU, 8000),
    (Encoding.PCMA, 8000),
    *itertools.product((Encoding.L16LE, Encoding.L16BE), (8000, 16000, 24000)),
]
MISMATCHES = [
    (sent, announced, rate_hz)
    for (sent, rate_hz), announced in itertools.product(FORMATS, Encoding)
    if sent is not announced
]
FRAME_MS = 20
every_recording = pytest.mark.parametrize("name", RECORDINGS)


def speech(name: str, rate_hz: int, level_dbfs: float = -26) -> Wave:
    """Return 15 s of a recording, scaled so that its loud frames have the level."""
    return 10 ** (level_dbfs / 20) * _speech(name, rate_hz)


@functools.cache
def _speech(name: str, rate_hz: int) -> Wave:
    samples = recording(name, rate_hz)[: 15 * rate_hz].astype(np.float64)
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    rms = np.sqrt((frames**2).mean(axis=1))
    loud = frames[rms > 0.05 * rms.max()]
    return samples * (32768 / float(np.sqrt((loud**2).mean())))


def with_noise(samples: Wave, level_dbfs: float) -> Wave:
    noise = np.random.default_rng(5).standard_normal(len(samples))
    return samples + noise * 32768 * 10 ** (level_dbfs / 20)


def encoded(encoding: Encoding, samples: Wave) -> bytes:
    pcm = np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
    match encoding:
        case Encoding.PCMU:
            return audioop.lin2ulaw(pcm, 2)
        case Encoding.PCMA:
            return audioop.lin2alaw(pcm, 2)
        case Encoding.L16LE:
            return pcm
        case Encoding.L16BE:
            return audioop.byteswap(pcm, 2)


def found_in(payload: bytes, announced: Encoding, rate_hz: int) -> tuple[Encoding | None, int]:
    """Analyze a track; return the found encoding and the number of bytes analyzed."""
    detector = CodecDetector(TrackFormat("inbound", announced, rate_hz))
    for begin in range(0, len(payload), 320):
        detector.receive(payload[begin : begin + 320])
        if detector.is_done:
            return detector.found, begin + 320
    return detector.found, len(payload)


class TestNoFalseAlarms:
    @pytest.mark.parametrize(("encoding", "rate_hz"), FORMATS)
    @pytest.mark.parametrize("level_dbfs", [-45, -30, -15, 6])
    @every_recording
    def test_speech_at_any_level(
        self, name: str, level_dbfs: float, encoding: Encoding, rate_hz: int
    ) -> None:
        """At 6 dBFS, speech is clipped hard."""
        payload = encoded(encoding, speech(name, rate_hz, level_dbfs))
        assert found_in(payload, encoding, rate_hz)[0] is None

    @pytest.mark.parametrize(("encoding", "rate_hz"), FORMATS)
    @pytest.mark.parametrize("snr_db", [20, 10, 0])
    @every_recording
    def test_speech_in_noise(
        self, name: str, snr_db: float, encoding: Encoding, rate_hz: int
    ) -> None:
        samples = with_noise(speech(name, rate_hz), -26 - snr_db)
        assert found_in(encoded(encoding, samples), encoding, rate_hz)[0] is None

    @pytest.mark.parametrize(("encoding", "rate_hz"), FORMATS)
    @every_recording
    def test_lost_frames_and_split_samples(
        self, name: str, encoding: Encoding, rate_hz: int
    ) -> None:
        """Frames have odd lengths, and 10 % are lost. After a hole, a whole sample starts."""
        form = TrackFormat("inbound", encoding, rate_hz)
        payload = encoded(encoding, speech(name, rate_hz))
        pipeline, dice = TrackPipeline(form), random.Random(6)  # noqa: S311  # no secret
        at_ms = 0
        while at_ms * form.bytes_per_ms < len(payload):
            frame_ms = dice.randint(5, 60)
            begin, end = at_ms * form.bytes_per_ms, (at_ms + frame_ms) * form.bytes_per_ms
            if dice.random() > 0.1:
                middle = begin + dice.randrange(end - begin)
                pipeline.receive(payload[begin:middle], at_ms, None)
                if dice.random() > 0.1:
                    pipeline.receive(payload[middle:end], None, None)
            at_ms += frame_ms
        assert pipeline.suspected_encoding is None

    @pytest.mark.parametrize(("encoding", "rate_hz"), [*FORMATS[:3], (Encoding.L16BE, 16000)])
    @pytest.mark.parametrize("sound", SOUNDS)
    def test_sounds_other_than_speech(self, sound: str, encoding: Encoding, rate_hz: int) -> None:
        wave = made(sound, rate_hz, seconds=6)
        for peak_dbfs, noise_dbfs in itertools.product((-50, -30, -12, 3), (-90, -60)):
            samples = with_noise(wave * 32767 * 10 ** (peak_dbfs / 20), noise_dbfs)
            payload = encoded(encoding, samples)
            assert found_in(payload, encoding, rate_hz)[0] is None, (peak_dbfs, noise_dbfs)

    @pytest.mark.parametrize(("encoding", "rate_hz"), FORMATS[:4])
    @pytest.mark.parametrize("sound", ["chords", "dtmf", "drums", "ringback", "pink-noise"])
    def test_speech_over_other_sounds(self, sound: str, encoding: Encoding, rate_hz: int) -> None:
        samples = speech("two_cities.wav", rate_hz)
        samples = samples + 4000 * made(sound, rate_hz, seconds=15)
        assert found_in(encoded(encoding, samples), encoding, rate_hz)[0] is None


class TestMismatches:
    @pytest.mark.parametrize(("sent", "announced", "rate_hz"), MISMATCHES)
    @every_recording
    def test_wrong_encoding_is_found_within_9_s_of_speech(
        self, name: str, sent: Encoding, announced: Encoding, rate_hz: int
    ) -> None:
        """Symptom: the stream ended as `completed`, but the transcript was empty."""
        payload = encoded(sent, speech(name, rate_hz))
        found, size = found_in(payload, announced, rate_hz)
        assert found is sent
        assert size / (rate_hz * sent.sample_bytes) < 9

    @pytest.mark.parametrize(("sent", "announced", "rate_hz"), MISMATCHES)
    @pytest.mark.parametrize(("level_dbfs", "snr_db"), [(-40, 40), (-26, 20), (-8, 30)])
    def test_wrong_encoding_is_found_in_loud_soft_and_noisy_speech(
        self, level_dbfs: float, snr_db: float, sent: Encoding, announced: Encoding, rate_hz: int
    ) -> None:
        samples = with_noise(speech("two_cities.wav", rate_hz, level_dbfs), level_dbfs - snr_db)
        assert found_in(encoded(sent, samples), announced, rate_hz)[0] is sent

    def test_wrong_encoding_is_found_if_frames_last_twice_as_long_as_announced(self) -> None:
        """A-law is announced as L16: the clock detects a hole before each frame and fills it."""
        payload = encoded(Encoding.PCMA, speech("two_cities.wav", 8000))
        pipeline = TrackPipeline(TrackFormat("inbound", Encoding.L16LE, 8000))
        for number in range(500):
            pipeline.receive(payload[160 * number : 160 * (number + 1)], FRAME_MS * number, None)
        assert pipeline.suspected_encoding is Encoding.PCMA

    def test_wrong_encoding_is_found_after_300_s_of_silence(self) -> None:
        silence = encoded(Encoding.PCMA, np.zeros(8000 * 300))
        payload = silence + encoded(Encoding.PCMA, speech("two_cities.wav", 8000))
        assert found_in(payload, Encoding.PCMU, 8000)[0] is Encoding.PCMA


class TestEnd:
    def test_speech_in_the_announced_encoding_ends_detection(self) -> None:
        payload = encoded(Encoding.PCMU, speech("two_cities.wav", 8000))
        assert found_in(payload, Encoding.PCMU, 8000)[1] < 8 * 8000

    def test_sound_without_votes_ends_detection_after_40_s(self) -> None:
        payload = encoded(Encoding.PCMU, 8000 * made("white-noise", 8000, seconds=50))
        found, size = found_in(payload, Encoding.PCMU, 8000)
        assert found is None
        assert 39 * 8000 < size < 41 * 8000


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 2000), min_size=1, max_size=20), odd=st.booleans())
@pytest.mark.parametrize(
    ("sent", "announced"),
    [(Encoding.PCMA, Encoding.PCMU), (Encoding.L16BE, Encoding.L16LE), (Encoding.PCMU,) * 2],
)
def test_result_does_not_depend_on_how_audio_is_split(
    sent: Encoding, announced: Encoding, cuts: list[int], odd: bool
) -> None:
    payload = encoded(sent, speech("two_cities.wav", 8000)[: 12 * 8000])
    whole = CodecDetector(TrackFormat("inbound", announced, 8000))
    whole.receive(payload)
    pipeline = TrackPipeline(TrackFormat("inbound", announced, 8000), chunk_ms=80 + 20 * odd)
    begin = 0
    for size in itertools.cycle(cuts):
        pipeline.receive(payload[begin : begin + size], None, None)
        begin += size
        if begin >= len(payload):
            break
    assert whole.is_done
    assert pipeline.suspected_encoding is whole.found
    assert whole.found is (None if sent is announced else sent)
