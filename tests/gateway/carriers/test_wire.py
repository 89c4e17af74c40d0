"""Play every carrier's recordings to its adapter."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.carriers.adapter import Adapter
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import (
    bandwidth,
    browser,
    exotel,
    freeswitch,
    jambonz,
    plivo,
    ringcx,
    signalwire,
    talkdesk,
    telnyx,
    twilio,
    vonage,
)
from gateway.carriers.vendors.acs import AcsAdapter
from gateway.carriers.vendors.asterisk import AsteriskAdapter, StreamQuery
from gateway.carriers.vendors.audiocodes import AudioCodesAdapter
from gateway.carriers.vendors.cxone import CxoneAdapter
from gateway.carriers.vendors.genesys.adapter import AudioHookAdapter
from tests.wire import playbook

ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "acs": lambda: AcsAdapter({"x-ms-call-correlation-id": "correlation-1"}, {}),
    "asterisk": lambda: AsteriskAdapter(StreamQuery()),
    "audiocodes": lambda: AudioCodesAdapter("connection-1", ["caller", "callee"]),
    "bandwidth": lambda: JsonMediaAdapter(bandwidth.DIALECT),
    "browser": browser.new_adapter,
    "cxone": lambda: CxoneAdapter("connection-1"),
    "exotel": lambda: JsonMediaAdapter(exotel.DIALECT),
    "freeswitch": lambda: freeswitch.new_adapter("connection-1", freeswitch.StreamQuery("stereo")),
    "genesys": lambda: AudioHookAdapter(
        "e160e428-53e2-487c-977d-96989bf5c99d", "d7934305-0972-4844-938e-9060eef73d05"
    ),
    "jambonz": lambda: jambonz.new_adapter("connection-1"),
    "plivo": lambda: JsonMediaAdapter(plivo.DIALECT),
    "ringcx": lambda: JsonMediaAdapter(ringcx.DIALECT),
    "signalwire": lambda: JsonMediaAdapter(signalwire.DIALECT),
    "talkdesk": lambda: JsonMediaAdapter(talkdesk.DIALECT),
    "telnyx": lambda: JsonMediaAdapter(telnyx.DIALECT),
    "twilio": lambda: JsonMediaAdapter(twilio.DIALECT),
    "vonage": lambda: vonage.new_adapter("connection-1"),
}
DIALOGUES = [(name, path) for name in ADAPTERS for path in playbook.recordings(name)]


@pytest.mark.parametrize(("carrier", "path"), DIALOGUES, ids=lambda value: Path(value).stem)
def test_adapter_produces_the_recorded_events(carrier: str, path: Path) -> None:
    playbook.play(path, ADAPTERS[carrier]())


def test_every_carrier_has_a_recording() -> None:
    assert {name for name, _ in DIALOGUES} == ADAPTERS.keys()
