"""Settings that replace the announced encoding, for every carrier."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.auth.http_signature import sign
from gateway.carriers.auth.signatures import plivo as plivo_signature
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier
from gateway.carriers.events import AudioReceived, CallStarted, CarrierEvent
from gateway.carriers.protocols.formats import with_encoding
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.registry import CARRIERS
from gateway.carriers.settings import AudioSettings, L16Settings
from gateway.carriers.vendors import plivo
from gateway.carriers.vendors.acs import Acs
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.carriers.vendors.twilio import Twilio
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, SECRET, upgrade
from tests.gateway.carriers.auth.signatures import test_openid as openid
from tests.gateway.carriers.test_wire import ADAPTERS
from tests.gateway.carriers.vendors.test_genesys import Client, open_
from tests.wire import playbook

NO_FILE: dict[str, Any] = {"_env_file": None}
NEVER_L16 = {"genesys", "cxone", "browser"}  # only mu-law, or a documented format
ANNOUNCED = CallStarted(
    "c1",
    "s1",
    (TrackFormat("inbound", Encoding.PCMU, 8000), TrackFormat("outbound", Encoding.L16LE, 16000)),
)
every = pytest.mark.parametrize("kind", CARRIERS, ids=lambda kind: kind.name)


def formats(start: CallStarted) -> list[tuple[str, int]]:
    return [(form.encoding.value, form.rate_hz) for form in start.tracks]


def played(carrier: str, encoding: Encoding) -> list[CarrierEvent]:
    """Play a carrier's recordings to adapters with a configured encoding."""
    events: list[CarrierEvent] = []
    for path in playbook.recordings(carrier):
        adapter = AudioSettings(**NO_FILE, encoding=encoding).inform(ADAPTERS[carrier]())
        for line in map(json.loads, path.read_text().splitlines()):
            try:
                if "in" in line:
                    text = line["in"] if isinstance(line["in"], str) else json.dumps(line["in"])
                    events += adapter.receive_text(text.encode())
                elif "binary" in line:
                    events += adapter.receive_binary(base64.b64decode(line["binary"]))
            except CarrierError:
                continue  # some recordings contain invalid messages
    return events


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("carrier", ADAPTERS)
def test_every_adapter_announces_the_configured_encoding(carrier: str, encoding: Encoding) -> None:
    starts = [event for event in played(carrier, encoding) if isinstance(event, CallStarted)]
    assert {form.encoding for start in starts for form in start.tracks} == {encoding}
    if encoding.sample_bytes == 1:
        assert {form.rate_hz for start in starts for form in start.tracks} == {8000}


@every
def test_every_carrier_has_an_encoding_setting(kind: Any) -> None:
    settings = kind.Settings(**NO_FILE, encoding="pcma")
    assert formats(settings.correct(ANNOUNCED)) == [("pcma", 8000), ("pcma", 8000)]


@every
def test_carriers_that_may_send_l16_have_a_byte_order_setting(kind: Any) -> None:
    """Symptom: a Plivo-compatible vendor sent L16 in network order, which decoded as noise."""
    assert issubclass(kind.Settings, L16Settings) == (kind.name not in NEVER_L16)
    if kind.name in NEVER_L16:
        return
    for order, encoding in (("big", "l16be"), ("little", "l16le")):
        settings = kind.Settings(**NO_FILE, l16_byte_order=order)
        assert formats(settings.correct(ANNOUNCED)) == [("pcmu", 8000), (encoding, 16000)]


@every
def test_encoding_overrides_byte_order(kind: Any) -> None:
    if kind.name not in NEVER_L16:
        settings = kind.Settings(**NO_FILE, encoding="l16le", l16_byte_order="big")
        assert formats(settings.correct(ANNOUNCED)) == [("l16le", 8000), ("l16le", 16000)]


def test_default_byte_order_is_little_endian_except_for_telnyx() -> None:
    orders = {
        kind.name: formats(kind.Settings(**NO_FILE).correct(ANNOUNCED))[1][0] for kind in CARRIERS
    }
    assert {name for name, order in orders.items() if order != "l16le"} == {"telnyx"}


@pytest.mark.parametrize(
    "kind",
    [kind for kind in CARRIERS if AuthenticatedCarrier in kind.__mro__],
    ids=lambda kind: kind.name,
)
def test_stream_authenticator_passes_the_encoding_to_the_adapter(kind: Any) -> None:
    settings = {"experimental": True} if kind.name == "cxone" else {}
    carrier = kind(kind.Settings(**OPEN, **settings, encoding="pcma"))
    shown = upgrade(kind.name, query="mix=stereo", Authorization=f"Bearer {SECRET}")
    corrected = carrier.upgrade(shown).adapter.correct(ANNOUNCED)
    assert formats(corrected) == [("pcma", 8000), ("pcma", 8000)]


def of_plivo() -> Adapter:
    carrier = plivo.Plivo(plivo.Plivo.Settings(**NO_FILE, auth_token="a", encoding="pcma"))
    url = "wss://gw.example.com/media/plivo"
    signed: dict[str, Any] = {
        "X-Plivo-Signature-V3": plivo_signature.sign("a", url, "n", []),
        "X-Plivo-Signature-V3-Nonce": "n",
    }
    return carrier.upgrade(upgrade("plivo", **signed)).adapter


def of_genesys() -> Adapter:
    keys = {"key": base64.b64encode(b"a secret of 16 bytes or more").decode()}
    carrier = Genesys(Genesys.Settings(**NO_FILE, api_keys=json.dumps(keys), encoding="pcma"))
    headers: dict[str, Any] = {
        "audiohook-organization-id": "o",
        "audiohook-session-id": "s",
        "audiohook-correlation-id": "c",
        "x-api-key": "key",
    }
    times = {"created_s": int(NOW_S), "expires_s": int(NOW_S) + 20}
    signature: dict[str, Any] = sign(
        headers,
        "/media/genesys",
        "gw.example.com",
        b"a secret of 16 bytes or more",
        nonce="n" * 22,
        **times,
    )
    return carrier.upgrade(upgrade("genesys", **headers, **signature)).adapter


def of_twilio() -> Adapter:
    settings = Twilio.Settings(**NO_FILE, ignore_signatures=True, encoding="pcma")
    return Twilio(settings).upgrade(upgrade("twilio")).adapter


def of_acs() -> Adapter:
    carrier = Acs(Acs.Settings(**NO_FILE, resource_id=openid.RESOURCE, encoding="pcma"))
    assert carrier.openid
    carrier.openid.read_configuration(openid.configuration())
    carrier.openid.read_keys(openid.key_set(k1=openid.KEY))
    return carrier.upgrade(upgrade("acs", Authorization=openid.shown())).adapter


@pytest.mark.parametrize("admitted", [of_plivo, of_genesys, of_twilio, of_acs])
def test_carriers_without_stream_authenticator_pass_the_encoding_to_the_adapter(
    admitted: Callable[[], Adapter],
) -> None:
    assert formats(admitted().correct(ANNOUNCED)) == [("pcma", 8000), ("pcma", 8000)]


def test_unknown_encoding_prevents_startup() -> None:
    with pytest.raises(ValueError, match="encoding"):
        plivo.Plivo.Settings(**NO_FILE, encoding="opus")


class TestTimes:
    """Durations have to be computed from payload bytes in the configured encoding."""

    def test_wall_clock_times_are_counted_in_the_configured_encoding(self) -> None:
        """If L16 were counted as the announced G.711, audio would last twice as long."""
        adapter = JsonMediaAdapter(plivo.DIALECT)
        adapter.correct = lambda start: with_encoding(start, Encoding.L16BE)
        start = {"callId": "c1", "streamId": "s1", "tracks": ["inbound"]}
        adapter.receive_text(json.dumps({"event": "start", "start": start}).encode())
        payload = base64.b64encode(bytes(320)).decode()
        times = []
        for number in range(50):
            media = {"track": "inbound", "timestamp": str(1_700_000_000_000 + 20 * number)}
            message = {"event": "media", "media": media | {"payload": payload}}
            events = adapter.receive_text(json.dumps(message).encode())
            times += [event.timestamp_ms for event in events if isinstance(event, AudioReceived)]
        assert times == [20 * number for number in range(50)]

    def test_audiohook_positions_are_counted_in_the_configured_encoding(self) -> None:
        client = Client()
        client.adapter.correct = lambda start: with_encoding(start, Encoding.L16LE)
        client.send_text("open", open_())
        left, right = b"\x01\x02", b"\x03\x04"
        for at_ms in (0, 20):
            assert client.send_audio((left + right) * 160) == [
                AudioReceived("external", left * 160, at_ms, None),
                AudioReceived("internal", right * 160, at_ms, None),
            ]
