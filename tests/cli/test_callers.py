"""Each caller's words, given to the gateway's own carrier: let in, it gives the audio back."""

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

from cli import audit
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
# Whose audio has no times: what its first frame is said to have.
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
LATEST_MS: Final = {"genesys": 200, "exotel": 100}  # how long audio may be kept back: else a frame
WIDEBAND: Final = {"acs", "audiocodes"}  # 16 kHz
CALLER_ONLY: Final = {"exotel"}  # the agent is not heard


@pytest.fixture(scope="module")
def carriers() -> Iterator[Mapping[str, Any]]:
    """The gateway's carriers, with the settings of the local stack."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in gateway_settings().items():
            environment.setenv(name, value)
        yield {each.name: each(each.Settings(_env_file=None)) for each in CARRIERS}


def asked(url: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
    """What the gateway sees of a request."""
    _, _, path = urlsplit(url).path.partition("/media/")
    route, token = [*path.split("/")[1:], None, None][:2]
    return Request(url, CIMultiDict(headers), body, token, route, NOW_S)


def streams(carrier: Any, caller: Caller, call: Call) -> Sequence[Stream]:
    """Ask the webhook, if there is one."""
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
class Heard:
    """What an adapter made of a dialogue."""

    starts: list[CallStarted] = field(default_factory=list)
    pcm: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))
    times_ms: dict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    begins_ms: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    is_stopped: bool = False

    def of(self, event: CarrierEvent) -> None:
        match event:
            case CallStarted():
                self.starts.append(event)
                self.is_stopped = False  # of several sockets each stops by itself
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


def converse(caller: Caller, call: Call, stream: Stream, adapter: Adapter, heard: Heard) -> None:
    """Play one socket's dialogue to its adapter, the replies back, and look at each tick."""
    dialogue = stream.dialogue
    spoken = {caller.label(track) for track in call.tracks}  # others are only announced

    def say(messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, str):
                events = adapter.receive_text(message.encode())
            else:
                events = adapter.receive_binary(message)
            take(events, heard, dialogue)

    for message in dialogue.opening():
        say([message])
        assert dialogue.may_speak
    late_ms = LATEST_MS.get(caller.name, 20)
    for tick, group in enumerate(dialogue.media()):
        say(group)
        played_ms = (tick + 1) * 20
        for form in heard.starts[-1].tracks:
            heard_ms = heard.length_ms(form.track)
            assert played_ms - late_ms < heard_ms <= played_ms or form.track not in spoken
    say(dialogue.closing())
    for form in heard.starts[-1].tracks:
        take(adapter.flush_held(form.track), heard, dialogue)
    take(adapter.farewell("carrier-stopped"), heard, dialogue)
    assert dialogue.may_hang_up


def take(events: Iterable[CarrierEvent], heard: Heard, dialogue: Dialogue) -> None:
    for event in events:
        heard.of(event)
        if isinstance(event, Reply):
            dialogue.receive(event.message)


def play(carrier: Any, caller: Caller, call: Call, opened: Sequence[Stream]) -> Heard:
    """Open each socket, and play it whole."""
    heard = Heard()
    for stream in opened:
        upgrade = carrier.upgrade(asked(stream.url, stream.headers))
        assert {*stream.subprotocols} <= {*carrier.subprotocols}
        converse(caller, call, stream, upgrade.adapter, heard)
        upgrade.authorize(heard.starts[-1])
    assert {start.call_id for start in heard.starts} == {call.call_id}
    assert len({start.stream_id for start in heard.starts}) == len(opened)
    return heard


def expected_pcm(caller: Caller, call: Call) -> dict[str, bytes]:
    """What was played, by the carrier's names: the shorter track filled up with silence.

    What comes at 16 kHz is what the model hears of the 8 kHz.
    """
    names = [name for name in call.tracks if name == "inbound" or caller.name not in CALLER_ONLY]
    frames = list(cut([call.tracks[name] for name in names]))
    to_pcm = audit.expected_pcm if caller.name in WIDEBAND else partial(decode, Encoding.PCMU)
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
def test_its_audio_comes_back_whole_in_order_and_in_its_place(
    carriers: Mapping[str, Any], name: str, inbound: bytes, outbound: bytes
) -> None:
    call = Call({"inbound": inbound, "outbound": outbound})
    caller = CALLERS[name](CREDENTIALS)
    heard = play(carriers[name], caller, call, streams(carriers[name], caller, call))
    assert heard.pcm == expected_pcm(caller, call)
    for track, begins_ms in heard.begins_ms.items():
        counted = [COUNTED.get(name), *[None] * (len(begins_ms) - 1)]
        assert heard.times_ms[track] == (counted if name in COUNTED else begins_ms)


@pytest.mark.parametrize("name", CALLERS)
def test_a_call_of_one_track(carriers: Mapping[str, Any], name: str) -> None:
    call = Call({"inbound": made(1, 1000)})
    caller = CALLERS[name](CREDENTIALS)
    heard = play(carriers[name], caller, call, streams(carriers[name], caller, call))
    assert {track: pcm for track, pcm in heard.pcm.items() if pcm} == expected_pcm(caller, call)


@pytest.mark.parametrize("name", CALLERS)
def test_without_a_webhook_it_is_let_in_as_well(carriers: Mapping[str, Any], name: str) -> None:
    call = Call({"inbound": made(1, 1000), "outbound": made(2, 1000)})
    caller = CALLERS[name](CREDENTIALS)
    opened = caller.direct(call, f"wss://{PUBLIC}/media/{name}", NOW_S)
    assert play(carriers[name], caller, call, opened).pcm == expected_pcm(caller, call)


@pytest.mark.parametrize("name", CALLERS)
def test_with_other_credentials_it_is_not(carriers: Mapping[str, Any], name: str) -> None:
    """Symptom to prevent: a caller that the gateway believes whatever it signs with."""
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
def test_it_waits_for_each_answer(name: str, kind: str, answers: Sequence[str | None]) -> None:
    """Symptom to prevent: audio, or the next word, before the gateway has agreed."""
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
def test_with_other_credentials_no_webhook_is_answered(
    carriers: Mapping[str, Any], name: str
) -> None:
    caller = CALLERS[name]({name: forged(value) for name, value in CREDENTIALS.items()})
    assert isinstance(caller, AnnouncingCaller)
    url = f"https://{PUBLIC}/voice/{name}"
    webhook = caller.webhook(Call({}), url, NOW_S)
    with pytest.raises(CarrierError, match=r"token-|signature-"):
        carriers[name].announced(asked(url, webhook.headers, webhook.body))


@pytest.mark.parametrize("name", ANNOUNCING)
@pytest.mark.parametrize("document", [b"", b"no xml", b"<Response/>", b"{}", b"[]", b'["a"]'])
def test_an_answer_that_forks_nothing(name: str, document: bytes) -> None:
    caller = CALLERS[name](CREDENTIALS)
    assert isinstance(caller, AnnouncingCaller)
    with pytest.raises(ValueError, match="in the answer"):
        caller.answered(Call({}), document, NOW_S)
