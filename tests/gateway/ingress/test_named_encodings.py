"""Encodings set by a route or a carrier's settings, over real HTTP."""

import json
from pathlib import Path

import pytest

from gateway.carriers.vendors.twilio import Twilio
from gateway.transcript.events import StreamStarted
from tests.gateway.ingress.served import Served, serving

ROUTES = """
[endpoints.main]
url = "ws://127.0.0.1:1/v1/realtime"

[[routes]]
name = "alaw"
params = { site = "north" }
encoding = "pcma"
endpoints = ["main"]

[[routes]]
name = "linear"
params = { site = "south" }
encoding = "l16be"
endpoints = ["main"]

[[routes]]
name = "others"
endpoints = ["main"]
"""


def twilio(encoding: str | None = None) -> Twilio:
    return Twilio(Twilio.Settings(_env_file=None, ignore_signatures=True, encoding=encoding))


@pytest.mark.parametrize(
    ("path", "site", "of_the_carrier", "expected"),
    [
        ("", "north", None, "pcma"),
        ("", "south", "pcma", "l16be"),  # the route overrides the carrier
        ("", "east", "pcma", "pcma"),
        ("", "east", None, "pcmu"),
        ("/linear", "north", None, "l16be"),  # the route that the URL names
    ],
)
async def test_encoding_of_route_overrides_that_of_carrier(
    tmp_path: Path, path: str, site: str, of_the_carrier: str | None, expected: str
) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES)
    async with serving(Served(twilio(of_the_carrier), routes_file=file)) as served:
        socket = await served.connect(f"/media/twilio{path}")
        start = {"callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound", "outbound"]}
        start["customParameters"] = {"site": site}  # type: ignore[assignment]
        for message in ({"event": "start", "start": start}, {"event": "stop"}):
            await socket.send_str(json.dumps(message))
        await served.end()
    [started] = [event for event in served.events if isinstance(event, StreamStarted)]
    assert [track.encoding for track in started.tracks] == [expected, expected]
