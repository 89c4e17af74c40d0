"""Each caller's requests and messages, processed by the gateway's carrier of the same name."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from cli import audit_coverage
from cli.callers.call import Call, Message
from cli.callers.caller import AnnouncingCaller, Caller, Dialogue, Stream
from cli.callers.frames import cut
from cli.callers.registry import CALLERS
from deploy.local.credentials import CREDENTIALS, gateway_settings
from gateway.audio.encodings import Encoding, TrackFormat, decode
from gateway.carriers.adapter import Adapter
from gateway.carriers.carrier import ForkingCarrier, Request, StreamLink
from gateway.carriers.events import AudioReceived, CallStarted, CallStopped, CarrierEvent, Reply
from gateway.carriers.registry import CARRIERS
from gateway.errors import CarrierError

PUBLIC: Final = "gw.example.com/prefix"
NOW_S: Final = 1_700_000_000.0
# Carriers without timestamps: the time that the adapter reports for the first frame.
COUNTED: Final = {
    "vonage": None,
    "jambonz": None,
    "freeswitch": None,
    "asterisk": None,
    "browser": None,
    "bandwidth": 0,
    "ringcx": 0,
    "audiocodes": None,
    "cxone": None,
}
LATEST_MS: Final = {"genesys": 200, "exotel": 100}  # longest delay of audio, if not one frame
WIDEBAND: Final = {"acs", "audiocodes"}  # 16 kHz
CALLER_ONLY: Final = {"exotel"}  # they send no agent audio


@pytest.fixture(scope="module")
def carriers() -> Iterator[Mapping[str, Any]]:
    """The gateway's carriers with the settings of the local stack."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in gateway_settings().items():
            environment.setenv(name, value)
        yield {each.name: each(each.Settings(_env_file=None)) for each in CARRIERS}


def asked(url: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
    """Return a request as the gateway receives it."""
    _, _, path = urlsplit(url).path.partition("/media/")
    route, token = [*path.split("/")[1:], None, None][:2]
    return Request(url, CIMultiDict(headers), body, token, route, NOW_S)


def streams(carrier: Any, caller: Caller, call: Call) -> Sequence[Stream]:
    """Return the sockets to open; the webhook is asked if there is one."""
    media_url = f"wss://{PUBLIC}/media/{caller.name}"
    if not isinstance(caller, AnnouncingCaller):
        return caller.direct(call, media_url, NOW_S)
    assert isinstance(carrier, ForkingCarrier)
    url = f"https://{PUBLIC}/voice/{caller.name}"
    webhook = caller.webhook(call, url, NOW_S)
    announced = carrier.announced(asked(url, webhook.headers, webhook.body))
    link = StreamLink(media_url, "default", is_certain=True)
    return caller.answered(call, carrier.document(announced, link, NOW_S).body, NOW_S)


@dataclass
class Received:
    """The events that an adapter makes of a dialogue."""

    starts: list[CallStarted] = field(default_factory=list)
    pcm: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))
    times_ms: dict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    begins_ms: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    is_stopped: bool = False

    def add(self, event: CarrierEvent) -> None:
        match event:
            case CallStarted():
                self.starts.append(event)
                self.is_stopped = False  # each of several sockets stops separately
            case AudioReceived():
                assert not self.is_stopped
                encoding = self.format(event.track).encoding
                self.begins_ms[event.track].append(self.length_ms(event.track))
                self.pcm[event.track] += decode(encoding, event.payload)
                self.times_ms[event.track].append(event.timestamp_ms)
            case CallStopped():
                self.is_stopped = True
            case _:
                pass

    def format(self, track: str) -> TrackFormat:
        (found,) = (f for start in self.starts for f in start.tracks if f.track == track)
        return found

    def length_ms(self, track: str) -> int:
        return len(self.pcm[track]) // (self.format(track).rate_hz // 1000 * 2)


def converse(
    caller: Caller, call: Call, stream: Stream, adapter: Adapter, received: Received
) -> None:
    """Play one socket's dialogue to its adapter, and check the audio after each 20 ms."""
    dialogue = stream.dialogue
    played = {caller.label(track) for track in call.tracks}  # other tracks are only announced

    def send(messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, str):
                events = adapter.receive_text(message.encode())
            else:
                events = adapter.receive_binary(message)
            process(events, received, dialogue)

    for message in dialogue.opening():
        send([message])
        assert dialogue.may_speak
    late_ms = LATEST_MS.get(caller.name, 20)
    for tick, group in enumerate(dialogue.media()):
        send(group)
        played_ms = (tick + 1) * 20
        for form in received.starts[-1].tracks:
            received_ms = received.length_ms(form.track)
            assert played_ms - late_ms < received_ms <= played_ms or form.track not in played
    send(dialogue.closing())
    for form in received.starts[-1].tracks:
        process(adapter.flush_held(form.track), received, dialogue)
    process(adapter.farewell("carrier-stopped"), received, dialogue)
    assert dialogue.may_hang_up


def process(events: Iterable[CarrierEvent], received: Received, dialogue: Dialogue) -> None:
    for event in events:
        received.add(event)
        if isinstance(event, Reply):
            dialogue.receive(event.message)


def play(carrier: Any, caller: Caller, call: Call, opened: Sequence[Stream]) -> Received:
    """Open each socket and play it to its end."""
    received = Received()
    for stream in opened:
        upgrade = carrier.upgrade(asked(stream.url, stream.headers))
        assert {*stream.subprotocols} <= {*carrier.subprotocols}
        converse(caller, call, stream, upgrade.adapter, received)
        upgrade.authorize(received.starts[-1])
    assert {start.call_id for start in received.starts} == {call.call_id}
    assert len({start.stream_id for start in received.starts}) == len(opened)
    return received


def expected_pcm(caller: Caller, call: Call) -> dict[str, bytes]:
    """Return the audio that was played, by the carrier's track names.

    The shorter track is padded with silence. Audio at 16 kHz is what the model receives for the
    same audio at 8 kHz.
    """
    names = [name for name in call.tracks if name == "inbound" or caller.name not in CALLER_ONLY]
    frames = list(cut([call.tracks[name] for name in names]))
    to_pcm = (
        audit_coverage.expected_pcm if caller.name in WIDEBAND else partial(decode, Encoding.PCMU)
    )
    return {
        caller.label(name): to_pcm(b"".join(group[n] for group in frames))
        for n, name in enumerate(names)
    }


lengths = st.integers(1, 4000)
audio = lengths.flatmap(lambda n: st.integers(0, 255).map(lambda seed: made(seed, n)))


def made(seed: int, length: int) -> bytes:
    return bytes(itertools.islice(itertools.cycle(range(seed, 256)), length))


@pytest.mark.parametrize("name", CALLERS)
@given(inbound=audio, outbound=audio)
def test_adapter_receives_all_audio_in_order_with_its_times(
    carriers: Mapping[str, Any], name: str, inbound: bytes, outbound: bytes
) -> None:
    call = Call({"inbound": inbound, "outbound": outbound})
    caller = CALLERS[name](CREDENTIALS)
    received = play(carriers[name], caller, call, streams(carriers[name], caller, call))
    assert received.pcm == expected_pcm(caller, call)
    for track, begins_ms in received.begins_ms.items():
        counted = [COUNTED.get(name), *[None] * (len(begins_ms) - 1)]
        assert received.times_ms[track] == (counted if name in COUNTED else begins_ms)


@pytest.mark.parametrize("name", CALLERS)
def test_call_with_one_track(carriers: Mapping[str, Any], name: str) -> None:
    call = Call({"inbound": made(1, 1000)})
    caller = CALLERS[name](CREDENTIALS)
    received = play(carriers[name], caller, call, streams(carriers[name], caller, call))
    assert {track: pcm for track, pcm in received.pcm.items() if pcm} == expected_pcm(caller, call)


@pytest.mark.parametrize("name", CALLERS)
def test_call_without_webhook_is_accepted(carriers: Mapping[str, Any], name: str) -> None:
    call = Call({"inbound": made(1, 1000), "outbound": made(2, 1000)})
    caller = CALLERS[name](CREDENTIALS)
    opened = caller.direct(call, f"wss://{PUBLIC}/media/{name}", NOW_S)
    assert play(carriers[name], caller, call, opened).pcm == expected_pcm(caller, call)


@pytest.mark.parametrize("name", CALLERS)
def test_upgrade_with_wrong_credentials_is_rejected(carriers: Mapping[str, Any], name: str) -> None:
    """Symptom to prevent: the gateway accepts a caller with any credentials."""
    caller = CALLERS[name]({name: forged(value) for name, value in CREDENTIALS.items()})
    for stream in caller.direct(Call({"inbound": b"\x01"}), f"wss://{PUBLIC}/media/{name}", NOW_S):
        with pytest.raises(CarrierError, match=r"token-|signature-"):
            carriers[name].upgrade(asked(stream.url, stream.headers))


def forged(value: str) -> str:
    return value.swapcase()


@pytest.mark.parametrize(
    ("name", "kind", "answers"),
    [
        ("cxone", "Message", ["BEGIN AUDIO STREAM"]),
        (
            "audiocodes",
            "type",
            ["session.accepted", None, "userStream.started", "userStream.started"],
        ),
    ],
)
def test_opening_waits_for_each_answer(name: str, kind: str, answers: Sequence[str | None]) -> None:
    """Symptom to prevent: audio or the next message is sent before the gateway has answered."""
    call = Call({"inbound": b"\x01", "outbound": b"\x01"})
    caller = CALLERS[name](CREDENTIALS)
    dialogue = caller.direct(call, f"wss://{PUBLIC}/media/{name}", NOW_S)[0].dialogue
    for _, answer in zip(dialogue.opening(), answers, strict=True):
        assert dialogue.may_speak == (answer is None)
        dialogue.receive(json.dumps({kind: "something else"}))
        assert dialogue.may_speak == (answer is None)
        dialogue.receive(json.dumps({kind: answer}))
        assert dialogue.may_speak
    with pytest.raises(ValueError, match="no JSON object"):
        dialogue.receive("[]")


ANNOUNCING: Final = [
    name for name, make in CALLERS.items() if isinstance(make(CREDENTIALS), AnnouncingCaller)
]


@pytest.mark.parametrize("name", ANNOUNCING)
def test_webhook_with_wrong_credentials_is_rejected(carriers: Mapping[str, Any], name: str) -> None:
    caller = CALLERS[name]({name: forged(value) for name, value in CREDENTIALS.items()})
    assert isinstance(caller, AnnouncingCaller)
    url = f"https://{PUBLIC}/voice/{name}"
    webhook = caller.webhook(Call({}), url, NOW_S)
    with pytest.raises(CarrierError, match=r"token-|signature-"):
        carriers[name].announced(asked(url, webhook.headers, webhook.body))


@pytest.mark.parametrize("name", ANNOUNCING)
@pytest.mark.parametrize("document", [b"", b"no xml", b"<Response/>", b"{}", b"[]", b'["a"]'])
def test_answer_without_a_stream_is_rejected(name: str, document: bytes) -> None:
    caller = CALLERS[name](CREDENTIALS)
    assert isinstance(caller, AnnouncingCaller)
    with pytest.raises(ValueError, match="in the answer"):
        caller.answered(Call({}), document, NOW_S)
