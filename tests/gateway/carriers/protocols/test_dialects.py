"""JSON media messages: properties of all dialects, and the particulars of each.

The messages are those of the recordings (`tests/wire`), each with a change.
"""

import base64
import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding
from gateway.audio.pipeline import AudioGap, TrackPipeline
from gateway.carriers.events import (
    AudioFrame,
    AudioLost,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.protocols.dialect import Dialect, Kind, Times
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import (
    bandwidth,
    exotel,
    plivo,
    ringcx,
    signalwire,
    talkdesk,
    telnyx,
    twilio,
)
from gateway.errors import CarrierError, Fault
from tests.gateway.carriers.asking import OPEN, SECRET, upgrade
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure
from tests.wire import playbook

type Message = dict[str, Any]

FRAME: Final = bytes(range(160))


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A carrier's dialect, and the paths of the fields that the tests change."""

    dialect: Dialect
    payload: str = "media.payload"
    chunk: str = "media.chunk"  # empty: frames have no number
    timestamp: str = "media.timestamp"
    track: str = "media.track"
    stream_id: str = "start.streamSid"
    encoding: str = "start.mediaFormat.encoding"
    rate: str = "start.mediaFormat.sampleRate"

    def recorded(self, kind: Kind) -> list[Message]:
        """Return the messages of a kind from the first recording that has any."""
        for messages in dialogues_of(self.dialect.carrier):
            if found := [m for m in messages if self.dialect.kinds[self.event(m)] is kind]:
                return found
        return []

    def event(self, message: Message) -> str:
        """Return a message's event."""
        return str(message[self.dialect.event])

    def start(self, changes: Message | None = None) -> Message:
        """Return the start message, with changes."""
        return changed(self.recorded(Kind.START)[0], changes or {})

    def media(self, payload: str | bytes = FRAME, changes: Message | None = None) -> Message:
        """Return the first frame of the first track, with changes."""
        text = payload if isinstance(payload, str) else base64.b64encode(payload).decode()
        frame = {self.payload: text, self.chunk: "1"} | (changes or {})
        return changed(self.recorded(Kind.MEDIA)[0], frame)

    def stops(self) -> list[Message]:
        """Return the messages that end a stream; a plain stop if the recordings have none."""
        return self.recorded(Kind.STOP) or [{self.dialect.event: "stop"}]

    def release(self, adapter: JsonMediaAdapter) -> list[AudioFrame]:
        """Return all held frames."""
        tracks = dict.fromkeys(self.dialect.track_names.values())
        return [frame for track in tracks for frame in adapter.flush_held(track)]

    def started(self, changes: Message | None = None) -> JsonMediaAdapter:
        """Return an adapter that has received the start message."""
        adapter = JsonMediaAdapter(self.dialect)
        feed(adapter, self.start(changes))
        return adapter


TWILIO: Final = Speaker(dialect=twilio.DIALECT)
SIGNALWIRE: Final = Speaker(dialect=signalwire.DIALECT)
TALKDESK: Final = Speaker(dialect=talkdesk.DIALECT)
TELNYX: Final = Speaker(
    dialect=telnyx.DIALECT,
    stream_id="stream_id",
    encoding="start.media_format.encoding",
    rate="start.media_format.sample_rate",
)
PLIVO: Final = Speaker(dialect=plivo.DIALECT, stream_id="start.streamId")
BANDWIDTH: Final = Speaker(
    dialect=bandwidth.DIALECT,
    payload="payload",
    chunk="",
    timestamp="",
    track="track",
    stream_id="metadata.streamId",
    encoding="metadata.tracks.0.mediaFormat.encoding",
    rate="metadata.tracks.0.mediaFormat.sampleRate",
)
EXOTEL: Final = Speaker(
    dialect=exotel.DIALECT,
    stream_id="start.stream_sid",
    encoding="start.media_format.encoding",
    rate="start.media_format.sample_rate",
)
RINGCX: Final = Speaker(
    dialect=ringcx.DIALECT,
    payload="media",
    chunk="sequenceId",
    timestamp="",
    track="perspective",
    stream_id="metadata.sessionId",
    encoding="metadata.contentType",
    rate="metadata.sampleRateHertz",
)
SPEAKERS: Final = (TWILIO, SIGNALWIRE, TALKDESK, TELNYX, PLIVO, BANDWIDTH, EXOTEL, RINGCX)
NUMBERING: Final = [speaker for speaker in SPEAKERS if speaker.chunk]

every = pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda s: s.dialect.carrier)
every_numbering = pytest.mark.parametrize("speaker", NUMBERING, ids=lambda s: s.dialect.carrier)


@cache
def dialogues_of(carrier: str) -> list[list[Message]]:
    """Return the messages of each of a carrier's recordings."""
    texts = [path.read_text().splitlines() for path in playbook.recordings(carrier)]
    return [[m["in"] for m in map(json.loads, lines) if "in" in m] for lines in texts]


def changed(message: Message, changes: Message) -> Message:
    """Copy a message, with other values at dotted paths; empty paths are skipped."""
    message = copy.deepcopy(message)
    for place, value in changes.items():
        *outer, last = place.split(".")
        target: Any = message
        for name in outer:
            target = target[int(name) if isinstance(target, list) else name]
        if last:
            target[last] = value
    return message


def feed(adapter: JsonMediaAdapter, *messages: Message | bytes) -> list[CarrierEvent]:
    return [
        event
        for message in messages
        for event in adapter.receive_text(
            message if isinstance(message, bytes) else json.dumps(message).encode()
        )
    ]


def only_audio(events: Sequence[CarrierEvent]) -> AudioReceived:
    [event] = events
    assert isinstance(event, AudioReceived)
    return event


def only_start(events: Sequence[CarrierEvent]) -> CallStarted:
    [event] = events
    assert isinstance(event, CallStarted)
    return event


def refusal(adapter: JsonMediaAdapter, message: Message | bytes) -> CarrierError:
    with pytest.raises(CarrierError) as caught:
        feed(adapter, message)
    assert caught.value.fault is Fault.CARRIER
    return caught.value


@every
class TestStart:
    def test_notes_before_the_start_are_ignored(self, speaker: Speaker) -> None:
        names = speaker.dialect.kinds.items()
        for name in (name for name, kind in names if kind is Kind.NOTE):
            message: Message = {speaker.dialect.event: name}
            assert feed(JsonMediaAdapter(speaker.dialect), message) == [MessageIgnored(name)]

    def test_stop_before_the_start_stops_the_call(self, speaker: Speaker) -> None:
        adapter = JsonMediaAdapter(speaker.dialect)
        assert feed(adapter, speaker.stops()[0]) == [CallStopped(speaker.dialect.reorder_ms)]

    def test_repeated_start_is_ignored(self, speaker: Speaker) -> None:
        adapter = speaker.started()
        assert feed(adapter, speaker.start()) == [MessageIgnored("repeated-start")]
        assert only_audio(feed(adapter, speaker.media())).payload == FRAME

    def test_start_of_another_stream_is_rejected(self, speaker: Speaker) -> None:
        other = speaker.start({speaker.stream_id: "another"})
        assert refusal(speaker.started(), other).reason == "second-start"

    def test_start_without_ids_is_rejected(self, speaker: Speaker) -> None:
        nameless = {speaker.dialect.event: speaker.event(speaker.start())}
        adapter = JsonMediaAdapter(speaker.dialect)
        assert refusal(adapter, nameless).reason == "malformed-message"

    def test_too_big_start_is_rejected(self, speaker: Speaker) -> None:
        adapter = JsonMediaAdapter(speaker.dialect)
        big = speaker.start({"padding": "x" * 70_000})
        assert refusal(adapter, big).reason == "message-too-big"

    @pytest.mark.parametrize("name", ["G722", "audio/G722", "OPUS", "audio/opus", "AMR-WB"])
    def test_unsupported_encoding_is_rejected_with_a_hint(
        self, speaker: Speaker, name: str
    ) -> None:
        adapter = JsonMediaAdapter(speaker.dialect)
        error = refusal(adapter, speaker.start({speaker.encoding: name}))
        assert error.reason == "unsupported-encoding"
        assert "PCMU" in error.detail

    def test_mulaw_is_rejected_unless_at_8_khz(self, speaker: Speaker) -> None:
        wide = speaker.start({speaker.encoding: "audio/x-mulaw", speaker.rate: 16000})
        adapter = JsonMediaAdapter(speaker.dialect)
        assert refusal(adapter, wide).reason == "unsupported-encoding"

    @pytest.mark.parametrize("rate", [8000, "8000"])
    def test_rate_may_be_a_number_or_a_string(self, speaker: Speaker, rate: int | str) -> None:
        start = speaker.start({speaker.rate: rate, speaker.encoding: "pcmu"})
        form = only_start(feed(JsonMediaAdapter(speaker.dialect), start)).tracks[0]
        assert (form.encoding, form.rate_hz) == (Encoding.PCMU, 8000)


@every
class TestMedia:
    @pytest.mark.parametrize("size", [0, 1, 159, 160, 480, 4000, 65_536])
    def test_payload_may_have_any_length(self, speaker: Speaker, size: int) -> None:
        assert only_audio(feed(speaker.started(), speaker.media(bytes(size)))).payload == bytes(
            size
        )

    @pytest.mark.parametrize(
        "payload",
        ["f3//fw==", "f3//fw", " f3//\nfw== ", "f3__fw", "f3__fw==", "f3_/\r\nfw", "f3//fw===="],
    )
    def test_base64_variants_are_decoded(self, speaker: Speaker, payload: str) -> None:
        """Symptom: base64url from a Plivo clone was neither audio nor a gap."""
        audio = only_audio(feed(speaker.started(), speaker.media(payload)))
        assert audio.payload == b"\x7f\x7f\xff\x7f"

    @pytest.mark.parametrize("payload", ["f3=/fw==", "%%%%", "é", "A", "%" * 400])
    def test_undecodable_payload_is_a_lost_frame(self, speaker: Speaker, payload: str) -> None:
        adapter = speaker.started()
        before = only_audio(feed(adapter, speaker.media()))
        later = speaker.media(payload, {speaker.chunk: "2"})
        lost, why = feed(adapter, later)
        assert isinstance(lost, AudioLost)
        assert lost.track == before.track
        is_timed = speaker.dialect.times is not Times.NONE
        assert len(lost.payload) == (160 if is_timed or len(payload) < 400 else 300)
        assert why == MessageIgnored("undecodable-payload")
        assert (
            only_audio(feed(adapter, speaker.media(changes={speaker.chunk: "3"}))).payload == FRAME
        )

    def test_unknown_fields_are_ignored(self, speaker: Speaker) -> None:
        message = speaker.media() | {"extra": {"a": [1]}}
        assert only_audio(feed(speaker.started(), message)).payload == FRAME

    @pytest.mark.parametrize("payload", ["f39/", "%"])
    def test_number_of_messages_held_before_the_start_is_limited(
        self, speaker: Speaker, payload: str
    ) -> None:
        adapter = JsonMediaAdapter(speaker.dialect)
        assert feed(adapter, *[speaker.media(payload)] * 1000) == []
        with pytest.raises(CarrierError, match="media-before-start"):
            feed(adapter, speaker.media(payload))

    def test_size_of_messages_held_before_the_start_is_limited(self, speaker: Speaker) -> None:
        adapter = JsonMediaAdapter(speaker.dialect)
        with pytest.raises(CarrierError, match="media-before-start"):
            feed(adapter, *[speaker.media(bytes(250_000))] * 3)

    def test_media_of_an_unknown_track_are_rejected(self, speaker: Speaker) -> None:
        message = speaker.media(changes={speaker.track: "sideways"})
        assert refusal(speaker.started(), message).reason == "unknown-track"

    def test_media_without_a_track_belong_to_the_first(self, speaker: Speaker) -> None:
        adapter = JsonMediaAdapter(speaker.dialect)
        first = only_start(feed(adapter, speaker.start())).tracks[0].track
        for nothing in ("", None):
            message = speaker.media(changes={speaker.track: nothing})
            assert only_audio(feed(adapter, message)).track == first

    def test_repr_contains_no_audio(self, speaker: Speaker) -> None:
        assert "secret" not in repr(feed(speaker.started(), speaker.media(b"secret")))


@every_numbering
class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("20", 20),
            (20, 20),
            ("", None),
            ("x", None),
            (None, None),
            (1.5, None),
            ([1], None),
            (10**30, None),
            ("9" * 5000, None),
        ],
    )
    def test_numbers_are_parsed_or_count_as_missing(
        self, speaker: Speaker, value: Any, expected: int | None
    ) -> None:
        numbered = speaker.media(changes={speaker.chunk: value})
        adapter = speaker.started()
        # 20 may be held for earlier frames.
        found = [
            *feed(adapter, numbered),
            *speaker.release(adapter),
        ]
        frames = [event for event in found if isinstance(event, AudioReceived)]
        assert only_audio(frames).sequence == expected
        if speaker.dialect.times is Times.STREAM:
            stamped = speaker.media(changes={speaker.timestamp: value})
            assert only_audio(feed(speaker.started(), stamped)).timestamp_ms == expected

    def test_swapped_frames_are_reordered_if_the_dialect_allows(self, speaker: Speaker) -> None:
        messages = [
            speaker.media(bytes([number]), {speaker.chunk: number}) for number in (1, 3, 2, 4)
        ]
        payloads = [
            event.payload[0]
            for event in feed(speaker.started(), *messages)
            if isinstance(event, AudioReceived)
        ]
        assert payloads == ([1, 2, 3, 4] if speaker.dialect.reorder_ms else [1, 3, 2, 4])


@every
class TestEnd:
    def test_stop_ends_the_call(self, speaker: Speaker) -> None:
        late_ms = speaker.dialect.reorder_ms
        assert feed(speaker.started(), *speaker.stops())[-1] == CallStopped(late_ms)

    def test_messages_after_stop_are_ignored_unless_reordering(self, speaker: Speaker) -> None:
        adapter = speaker.started()
        feed(adapter, *speaker.stops())
        after = [speaker.media(), *speaker.stops(), speaker.media("%"), speaker.start()]
        events = feed(adapter, *after)
        if speaker.dialect.reorder_ms:
            assert isinstance(events[0], AudioReceived)
        else:
            assert events == [MessageIgnored("after-stop")] * len(after)
        assert speaker.release(adapter) == []

    def test_close_without_stop_leaves_no_held_frames(self, speaker: Speaker) -> None:
        adapter = speaker.started()
        feed(adapter, speaker.media())
        assert speaker.release(adapter) == []

    def test_close_before_the_start_leaves_no_held_frames(self, speaker: Speaker) -> None:
        assert speaker.release(JsonMediaAdapter(speaker.dialect)) == []


@every
class TestAnyMessage:
    def test_unknown_event_is_ignored(self, speaker: Speaker) -> None:
        message: Message = {speaker.dialect.event: "sparkle", "x": 1}
        assert feed(speaker.started(), message) == [MessageIgnored("unknown")]

    def test_dtmf_event_does_not_contain_the_digit(self, speaker: Speaker) -> None:
        for message in speaker.recorded(Kind.DTMF):
            [event] = feed(speaker.started(), changed(message, {"dtmf.digit": "7#secret"}))
            assert isinstance(event, DtmfReceived)
            assert "7" not in repr(event)

    def test_binary_message_is_rejected(self, speaker: Speaker) -> None:
        with pytest.raises(CarrierError, match="binary-message"):
            speaker.started().receive_binary(json.dumps(speaker.media()).encode())

    def test_message_that_is_not_a_json_object_is_rejected(self, speaker: Speaker) -> None:
        event = speaker.dialect.event.encode()
        for message in (
            *(b"", b"{", b"[]", b'"start"', b"\xff\xfe", b"\x7f" * 160),
            (b'{"%s":' % event) * 100_000,
            b'{"%s":"mark","mark":' % event + b"[" * 100_000,
        ):
            for adapter in (JsonMediaAdapter(speaker.dialect), speaker.started()):
                assert refusal(adapter, message).reason == "malformed-message"

    @pytest.mark.parametrize("name", [None, 7, ["start"]])
    def test_message_without_an_event_is_ignored(self, speaker: Speaker, name: object) -> None:
        message = {} if name is None else {speaker.dialect.event: name}
        assert feed(JsonMediaAdapter(speaker.dialect), message) == [MessageIgnored("unknown")]

    def test_malformed_media_are_lost_audio(self, speaker: Speaker) -> None:
        for message in malformed_media(speaker):
            adapter = JsonMediaAdapter(speaker.dialect)
            assert list(adapter.receive_text(message)) == []
            start, *early = feed(adapter, speaker.start())
            assert isinstance(start, CallStarted)
            for lost, why in (early, adapter.receive_text(message)):
                assert isinstance(lost, AudioLost)
                assert len(lost.payload) == 20 * start.tracks[0].bytes_per_ms
                assert why == MessageIgnored("malformed-media")
            assert only_audio(feed(adapter, speaker.media())).payload == FRAME


def malformed_media(speaker: Speaker) -> Iterator[bytes]:
    yield json.dumps({speaker.dialect.event: speaker.event(speaker.media())}).encode()
    yield json.dumps(speaker.media(changes={speaker.payload: 5})).encode()
    yield json.dumps(speaker.media(changes={speaker.payload: None})).encode()
    yield json.dumps(speaker.media(changes={speaker.track: [5]})).encode()
    yield json.dumps(speaker.media()).encode()[:-20]  # a cut-off message
    yield json.dumps(speaker.media()).encode()[:-20] + b"\xff\xfe"


def places(message: Any, prefix: str = "") -> list[str]:
    """Return all dotted paths in a message."""
    pairs = message.items() if isinstance(message, dict) else ()
    return [p for name, v in pairs for p in (f"{prefix}{name}", *places(v, f"{prefix}{name}."))]


@st.composite
def distorted(draw: st.DrawFn, messages: Sequence[Message]) -> bytes:
    """Generate one of these messages, damaged or with arbitrary values at some paths."""
    message = draw(st.sampled_from(messages))
    chosen = draw(st.lists(st.sampled_from(places(message)), max_size=2))
    deepest_first = sorted(chosen, key=lambda place: -place.count("."))
    whole = json.dumps(changed(message, {p: draw(JSON_VALUES) for p in deepest_first})).encode()
    return draw(st.just(whole) | damaged(whole))


@settings(max_examples=60)
@given(data=st.data())
def test_arbitrary_messages_give_events_or_a_documented_error(data: st.DataObject) -> None:
    speaker = data.draw(st.sampled_from(SPEAKERS))
    kinds = (Kind.START, Kind.MEDIA, Kind.DTMF, Kind.STOP)
    messages = [message for kind in kinds for message in speaker.recorded(kind)]
    dialogue = data.draw(dialogues(distorted(messages)))
    endure(JsonMediaAdapter(speaker.dialect), dialogue)
    begun = (True, json.dumps(speaker.start()).encode())
    endure(JsonMediaAdapter(speaker.dialect), [begun, *dialogue])


@pytest.mark.parametrize("rate_hz", [16000, 24000])
@pytest.mark.parametrize(
    ("kind", "speaker", "settings", "encoding"),
    [
        (signalwire.SignalWire, SIGNALWIRE, {}, Encoding.L16LE),
        (signalwire.SignalWire, SIGNALWIRE, {"l16_byte_order": "big"}, Encoding.L16BE),
        (telnyx.Telnyx, TELNYX, {}, Encoding.L16BE),
        (telnyx.Telnyx, TELNYX, {"l16_byte_order": "little"}, Encoding.L16LE),
    ],
)
def test_undocumented_l16_byte_order_is_configurable(
    kind: Any, speaker: Speaker, settings: Message, encoding: Encoding, rate_hz: int
) -> None:
    carrier = kind(kind.Settings(**OPEN, **settings))
    shown = upgrade(carrier.name, Authorization=f"Bearer {SECRET}")
    start = speaker.start({speaker.encoding: "audio/x-L16", speaker.rate: rate_hz})
    form = only_start(feed(carrier.upgrade(shown).adapter, start)).tracks[0]
    assert (form.encoding, form.rate_hz) == (encoding, rate_hz)


class TestSignalWire:
    def test_ids_are_read_from_the_start_object(self) -> None:
        start = SIGNALWIRE.start()
        assert "streamSid" not in start
        event = only_start(feed(JsonMediaAdapter(signalwire.DIALECT), start))
        assert event.stream_id == start["start"]["streamSid"]


class TestTalkdesk:
    def test_inbound_is_the_agent(self) -> None:
        event = only_start(feed(JsonMediaAdapter(talkdesk.DIALECT), TALKDESK.start()))
        assert event.roles == {"inbound": "agent", "outbound": "customer"}

    @pytest.mark.parametrize("speaker", [TWILIO, SIGNALWIRE, TELNYX, PLIVO, BANDWIDTH, EXOTEL])
    def test_other_carriers_define_no_roles(self, speaker: Speaker) -> None:
        assert only_start(feed(JsonMediaAdapter(speaker.dialect), speaker.start())).roles == {}


class TestTelnyx:
    """The order of events is not guaranteed; the media clock has to come out right."""

    @staticmethod
    def frame(chunk: int, timestamp_ms: int | None = None) -> Message:
        stamp = 20 * (chunk - 1) if timestamp_ms is None else timestamp_ms
        changes = {"media.track": "inbound", "media.chunk": str(chunk)}
        payload = bytes([chunk % 256]) * 160
        return TELNYX.media(payload, changes | {"media.timestamp": str(stamp)})

    @staticmethod
    def sequences(messages: Sequence[Message], *, closed: bool = True) -> list[int | None]:
        adapter = TELNYX.started()
        events = [*feed(adapter, *messages), *(TELNYX.release(adapter) if closed else ())]
        return [event.sequence for event in events if isinstance(event, AudioReceived)]

    @settings(max_examples=20)
    @given(st.lists(st.integers(0, 9), min_size=50, max_size=50))
    def test_frames_are_reordered_within_200_ms(self, late: list[int]) -> None:
        arrivals = sorted(range(1, 51), key=lambda n: (n + late[n - 1], n))
        assert self.sequences([self.frame(n) for n in arrivals]) == list(range(1, 51))

    def test_ordered_frames_are_not_held(self) -> None:
        frames = [self.frame(n) for n in range(1, 20)]
        assert self.sequences(frames, closed=False) == list(range(1, 20))

    def test_missing_frame_holds_later_frames_for_200_ms(self) -> None:
        frames = [self.frame(n) for n in range(2, 12)]
        assert self.sequences(frames, closed=False) == []
        assert self.sequences([*frames, self.frame(12)], closed=False) == list(range(2, 13))

    def test_tracks_are_reordered_independently(self) -> None:
        outbound = changed(self.frame(1), {"media.track": "outbound"})
        assert self.sequences([self.frame(2), outbound], closed=False) == [1]

    def test_late_duplicate_lost_frames_and_silence_are_distinguished(self) -> None:
        """Frame 3 is late, 4 arrives twice, 6 is lost; 20 follows a second of silence."""
        adapter = TELNYX.started()
        pipeline = TrackPipeline(
            only_start(feed(JsonMediaAdapter(telnyx.DIALECT), TELNYX.start())).tracks[0]
        )
        chunks = [1, 2, 4, 4, 3, 5, 4, *range(7, 20)]
        frames = [self.frame(n) for n in chunks]
        resumed = [self.frame(n, 20 * (n - 1) + 1000) for n in range(20, 30)]
        events = [*feed(adapter, *frames, *resumed), *TELNYX.release(adapter)]
        pieces = [
            piece
            for event in events
            if isinstance(event, AudioReceived)
            for piece in pipeline.receive(event.payload, event.timestamp_ms, event.sequence)
        ]
        gaps = [piece for piece in pieces if isinstance(piece, AudioGap)]
        assert [(gap.from_ms, gap.to_ms) for gap in gaps] == [(100, 120), (380, 1380)]
        assert (pipeline.frames, pipeline.duplicates) == (28, 2)

    def test_media_after_a_reordered_stop_are_accepted(self) -> None:
        stop, late = TELNYX.stops()[0], self.frame(2)
        assert self.sequences([self.frame(1), self.frame(3), stop, late]) == [1, 2, 3]

    def test_older_name_of_mulaw_is_accepted(self) -> None:
        start = TELNYX.start({TELNYX.encoding: "audio/x-mulaw"})
        form = only_start(feed(JsonMediaAdapter(telnyx.DIALECT), start)).tracks[0]
        assert form.encoding is Encoding.PCMU


class TestPlivo:
    def test_times_are_relative_to_the_first_frame(self) -> None:
        epoch_ms = 1_705_312_200_000
        adapter = PLIVO.started({"start.tracks": ["inbound", "outbound"]})

        def at(track: str, offset_ms: int, chunk: int) -> int | None:
            stamp = str(epoch_ms + offset_ms)
            changes = {"media.track": track, "media.timestamp": stamp, "media.chunk": chunk}
            return only_audio(feed(adapter, PLIVO.media(bytes(640), changes))).timestamp_ms

        assert at("inbound", 0, 1) == 0
        assert at("outbound", 500, 1) == 500  # the track began 500 ms later
        assert at("inbound", 20, 2) == 20
        assert at("outbound", 530, 2) == 520

    def test_frame_without_timestamp_does_not_set_the_epoch(self) -> None:
        adapter = PLIVO.started()
        feed(adapter, PLIVO.media(bytes(640), {"media.timestamp": None}))
        second = PLIVO.media(changes={"media.chunk": 2})
        assert only_audio(feed(adapter, second)).timestamp_ms == 20

    @pytest.mark.parametrize(
        ("headers", "params"),
        [
            ("userId=12345;sessionId=abc", {"userId": "12345", "sessionId": "abc"}),
            ("userId=12345,sessionId=abc", {"userId": "12345", "sessionId": "abc"}),
            ('{"userId":12345,"sessionId":"abc"}', {"userId": "12345", "sessionId": "abc"}),
            ({"userId": "12345"}, {"userId": "12345"}),
            ("X-PH-tok=a=b==; x = 1 ;", {"X-PH-tok": "a=b==", "x": "1"}),
            ("{}", {}),
            ("", {}),
            (None, {}),
            ("{userId", {}),
            (7, {}),
        ],
    )
    def test_extra_headers_are_parsed_in_all_formats(
        self, headers: Any, params: dict[str, str]
    ) -> None:
        start = PLIVO.start({"extra_headers": headers})
        assert only_start(feed(JsonMediaAdapter(plivo.DIALECT), start)).params == params


class TestBandwidth:
    @staticmethod
    def tracks(*entries: Any) -> list[tuple[str, Encoding]]:
        start = BANDWIDTH.start({"metadata.tracks": list(entries)})
        event = only_start(feed(JsonMediaAdapter(bandwidth.DIALECT), start))
        return [(form.track, form.encoding) for form in event.tracks]

    def test_each_track_has_its_own_format(self) -> None:
        pcma = {"name": "outbound", "mediaFormat": {"encoding": "audio/PCMA", "sampleRate": 8000}}
        plain = {"name": "inbound"}
        assert self.tracks(pcma, plain, pcma | {"mediaFormat": None}) == [
            ("outbound", Encoding.PCMA),
            ("inbound", Encoding.PCMU),
        ]

    @pytest.mark.parametrize("entry", [{}, {"name": 7}, {"name": "sideways"}, 7, None, []])
    def test_track_without_a_known_name_is_rejected(self, entry: Any) -> None:
        with pytest.raises(CarrierError, match="unknown-track"):
            self.tracks(entry)

    def test_media_without_timestamps_are_counted(self) -> None:
        adapter = BANDWIDTH.started()
        first, second = (only_audio(feed(adapter, BANDWIDTH.media())) for _ in range(2))
        assert (first.timestamp_ms, first.sequence) == (0, None)
        assert (second.timestamp_ms, second.sequence) == (None, None)

    @pytest.mark.parametrize(("frames", "begins_ms"), [(5, 0), (49, 0), (50, 1000), (500, 10_000)])
    def test_late_track_begins_at_the_position_of_the_other(
        self, frames: int, begins_ms: int
    ) -> None:
        """Symptom: the agent's first words after 10 s were placed at the beginning."""
        adapter = BANDWIDTH.started()
        feed(adapter, *[BANDWIDTH.media(bytes(160))] * frames)
        late = BANDWIDTH.media(bytes(160), changes={BANDWIDTH.track: "outbound"})
        assert only_audio(feed(adapter, late)).timestamp_ms == begins_ms


class TestExotel:
    @pytest.mark.parametrize(
        ("media_format", "expected"),
        [
            ({"encoding": "audio/x-raw", "sample_rate": "8000"}, (Encoding.L16LE, 8000)),
            ({"encoding": "audio/x-raw", "sample_rate": "16000"}, (Encoding.L16LE, 16000)),
            ({"encoding": "slin", "sample_rate": 24000}, (Encoding.L16LE, 24000)),
            (
                {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
                (Encoding.L16LE, 8000),
            ),
            ({"encoding": "audio/L16;rate=16000", "sample_rate": "16000"}, (Encoding.L16LE, 16000)),
            ({"encoding": "mulaw", "sample_rate": "8000"}, (Encoding.PCMU, 8000)),
            ({"sample_rate": "16000", "bit_rate": "16"}, (Encoding.L16LE, 16000)),
            ({}, (Encoding.L16LE, 8000)),
            (
                {"encoding": "audio/x-mulaw;rate=8000", "bit_rate": "64kbps"},
                (Encoding.PCMU, 8000),
            ),
        ],
    )
    def test_media_format_determines_encoding_and_rate(
        self, media_format: Message, expected: tuple[Encoding, int]
    ) -> None:
        start = EXOTEL.start({"start.media_format": media_format})
        form = only_start(feed(JsonMediaAdapter(exotel.DIALECT), start)).tracks[0]
        assert (form.encoding, form.rate_hz) == expected


class TestRingCX:
    def test_perspectives_are_tracks_with_roles(self) -> None:
        event = only_start(feed(JsonMediaAdapter(ringcx.DIALECT), RINGCX.start()))
        assert event.roles == {"participant": "agent", "conference": "customer"}
        assert [form.track for form in event.tracks] == ["participant", "conference"]

    @pytest.mark.parametrize(
        ("perspectives", "is_over"),
        [
            (["Participant"], False),
            (["Participant", "Participant"], False),
            (["Participant", "Somebody"], False),
            (["Participant", "Conference"], True),
            (["Conference", "Participant"], True),
            ([None], True),
            (["Conference", None], True),
        ],
    )
    def test_stream_ends_when_both_perspectives_stopped(
        self, perspectives: list[str | None], is_over: bool
    ) -> None:
        stop = RINGCX.stops()[0]
        stops = [changed(stop, {"perspective": each}) for each in perspectives]
        *before, last = feed(RINGCX.started(), *stops)
        assert before == [MessageIgnored("stop-of-one-track")] * (len(stops) - 1)
        assert isinstance(last, CallStopped) == is_over

    def test_numbers_that_count_both_perspectives_delay_audio_by_60_ms(self) -> None:
        frames = [RINGCX.media(changes={"sequenceId": n}) for n in range(1, 21, 2)]
        adapter = RINGCX.started()
        sequences_received = [
            e.sequence for e in feed(adapter, *frames) if isinstance(e, AudioReceived)
        ]
        assert sequences_received == [1, 3, 5, 7, 9, 11, 13]
        assert len(RINGCX.release(adapter)) == 3
