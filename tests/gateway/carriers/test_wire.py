"""Every carrier's recorded dialogues, played to its adapter."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.carriers import browser, twilio
from gateway.carriers.adapter import Adapter
from gateway.carriers.asterisk import AsteriskAdapter, StreamQuery
from gateway.carriers.genesys import AudioHookAdapter
from gateway.carriers.json_media import JsonMediaAdapter
from tests.wire import playbook

ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "asterisk": lambda: AsteriskAdapter(StreamQuery()),
    "browser": browser.new_adapter,
    "genesys": lambda: AudioHookAdapter(
        "e160e428-53e2-487c-977d-96989bf5c99d", "d7934305-0972-4844-938e-9060eef73d05"
    ),
    "twilio": lambda: JsonMediaAdapter(twilio.DIALECT),
}
DIALOGUES = [(name, path) for name in ADAPTERS for path in playbook.recordings(name)]


@pytest.mark.parametrize(("carrier", "path"), DIALOGUES, ids=lambda value: Path(value).stem)
def test_a_recorded_dialogue(carrier: str, path: Path) -> None:
    playbook.play(path, ADAPTERS[carrier]())


def test_every_carrier_has_one() -> None:
    assert {name for name, _ in DIALOGUES} == ADAPTERS.keys()
