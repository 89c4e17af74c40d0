"""Which modules are mutated, and which tests run for each of them."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

_AUDIO: Final = "tests/gateway/audio"
_CALLS: Final = "tests/gateway/calls"
_CARRIERS: Final = "tests/gateway/carriers"
_PROTOCOLS: Final = f"{_CARRIERS}/protocols"
_TRANSCRIPT: Final = "tests/gateway/transcript"
_WRAPUP: Final = "tests/workers/wrapup"

TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "gateway/admission/breaker.py": (
        "tests/gateway/admission/test_breaker.py",
        "tests/gateway/admission/test_endpoint_health.py",
    ),
    "gateway/audio/channels.py": (f"{_AUDIO}/test_channels.py",),
    "gateway/audio/clock.py": (
        f"{_AUDIO}/test_clock.py",
        f"{_AUDIO}/test_leaps.py",
        f"{_AUDIO}/test_lost_frames.py",
        f"{_AUDIO}/test_pipeline.py",
    ),
    "gateway/audio/codec_detection.py": (f"{_AUDIO}/test_codec_detection.py",),
    "gateway/audio/encodings.py": (
        f"{_AUDIO}/test_encodings.py",
        f"{_AUDIO}/test_pipeline.py",
        f"{_AUDIO}/test_codec_detection.py",
    ),
    "gateway/audio/loudness.py": (
        f"{_AUDIO}/test_pipeline.py",
        f"{_CALLS}/test_replay_buffer.py",
        f"{_CALLS}/test_replay_state.py",
    ),
    "gateway/audio/pipeline.py": (
        f"{_AUDIO}/test_pipeline.py",
        f"{_AUDIO}/test_lost_frames.py",
        f"{_AUDIO}/test_leaps.py",
    ),
    "gateway/audio/polyphase.py": (
        f"{_AUDIO}/test_polyphase.py",
        f"{_AUDIO}/test_interpolator.py",
        f"{_AUDIO}/test_decimator.py",
    ),
    "gateway/audio/resampler.py": (
        f"{_AUDIO}/test_polyphase.py",
        f"{_AUDIO}/test_interpolator.py",
        f"{_AUDIO}/test_decimator.py",
        f"{_AUDIO}/test_pipeline.py",
    ),
    "gateway/calls/allowance.py": (f"{_CALLS}/test_allowance.py",),
    "gateway/calls/arrivals.py": (f"{_CALLS}/test_arrivals.py", f"{_CALLS}/test_stalls.py"),
    "gateway/calls/replay_buffer.py": (
        f"{_CALLS}/test_replay_buffer.py",
        f"{_CALLS}/test_sessions.py",
    ),
    "gateway/calls/replay_state.py": (
        f"{_CALLS}/test_replay_state.py",
        f"{_CALLS}/test_worst_moments.py",
        f"{_CALLS}/test_late_words.py",
        f"{_CALLS}/test_sessions.py",
    ),
    "gateway/calls/silent_model.py": (f"{_CALLS}/test_silent_model.py",),
    "gateway/carriers/protocols/early_media.py": (f"{_PROTOCOLS}/test_early_media.py",),
    "gateway/carriers/protocols/formats.py": (
        f"{_CARRIERS}/test_named_encodings.py",
        f"{_PROTOCOLS}/test_dialects.py",
    ),
    "gateway/carriers/protocols/frame_numbers.py": (f"{_PROTOCOLS}/test_frame_numbers.py",),
    "gateway/carriers/protocols/json_media.py": (
        f"{_PROTOCOLS}",
        f"{_CARRIERS}/test_tolerance.py",
        f"{_CARRIERS}/test_wire.py",
    ),
    "gateway/carriers/protocols/pcm_socket.py": (
        f"{_PROTOCOLS}/test_pcm_socket.py",
        f"{_CARRIERS}/vendors/test_freeswitch.py",
        f"{_CARRIERS}/vendors/test_jambonz.py",
        f"{_CARRIERS}/vendors/test_vonage.py",
    ),
    "gateway/carriers/protocols/reorder.py": (f"{_PROTOCOLS}/test_reorder.py",),
    "gateway/carriers/protocols/tolerant.py": (f"{_CARRIERS}/test_tolerance.py",),
    "gateway/carriers/protocols/wall_times.py": (f"{_PROTOCOLS}/test_wall_times.py",),
    "gateway/transcript/encode.py": (
        f"{_TRANSCRIPT}/test_events.py",
        "tests/gateway/publishing/test_event_store.py",
    ),
    "gateway/transcript/keys.py": (f"{_TRANSCRIPT}/test_keys.py",),
    "gateway/transcript/segmenter.py": (
        f"{_TRANSCRIPT}/test_segmenter.py",
        f"{_TRANSCRIPT}/test_segmenter_replay.py",
        f"{_TRANSCRIPT}/test_segmenter_provisional.py",
    ),
    "gateway/transcript/session_timeline.py": (f"{_TRANSCRIPT}/test_session_timeline.py",),
    "workers/wrapup/checks.py": (f"{_WRAPUP}/test_checks.py", f"{_WRAPUP}/test_drafting.py"),
    "workers/wrapup/conversation.py": (f"{_WRAPUP}/test_conversation.py",),
    "workers/wrapup/drafting.py": (f"{_WRAPUP}/test_drafting.py",),
    "workers/wrapup/jobs.py": (f"{_WRAPUP}/test_jobs.py",),
}
