"""The exact text of each format."""

import json

import pytest

from tests.workers.archive.calls import Story, alert, evidence, whole, wrapup
from workers.archive.formats import FORMATS, to_csv, to_json, to_txt, to_vtt
from workers.archive.record import VERSION, CallRecord, Text


def call() -> CallRecord:
    """Return a call with two streams, a gap, an open segment and a pause."""
    first = Story().start().say("inbound", "hello there").say("outbound", "one moment")
    first.add("stream.paused", at_ms=2500).add("stream.resumed", at_ms=2900)
    first.add("transcript.gap", track="inbound", from_ms=2500, to_ms=2900, cause="paused")
    first.add("stream.dtmf", track="inbound")
    first.say("inbound", "and then it", partial=True).end("lost", segments=2, duration_ms=3240)
    second = Story(stream="MZ2", at="2026-11-21T10:07:00.623Z").start(tracks="[]", params="{}")
    second.say("agent%20two", "hello again", language="en").end(duration_ms=1800)
    return evidence(first.events + second.events).fold.record()


def test_webvtt() -> None:
    assert (
        to_vtt(call())
        == """WEBVTT

NOTE call CA1, text raw

00:00:01.000 --> 00:00:01.800
<v customer>hello there

00:00:02.000 --> 00:00:02.800
<v agent>one moment

NOTE gap 00:00:02.500 to 00:00:02.900 inbound paused

00:00:03.000 --> 00:00:03.240
<v customer>and then it

00:00:05.500 --> 00:00:06.300
<v agent%20two>hello again
"""
    )


def test_plain_text() -> None:
    assert (
        to_txt(call())
        == """call: CA1
started: 2026-11-21T10:06:56.123Z
duration: 00:00:03.240
status: lost
text: raw

[00:00:01.000] customer: hello there
[00:00:02.000] agent: one moment
[00:00:02.500] (inbound: no transcript for 0.400 s, paused)
[00:00:03.000] customer: and then it (unfinished)
[00:00:05.500] agent%20two: hello again
"""
    )


def test_csv() -> None:
    assert to_csv(call()).split("\r\n") == [
        "call_id,stream_id,track,role,segment,rev,start_ms,end_ms,at,final,language,text",
        "CA1,MZ1,inbound,customer,1,0,1000,1800,2026-11-21T10:06:57.123Z,true,,hello there",
        "CA1,MZ1,outbound,agent,2,0,2000,2800,2026-11-21T10:06:58.123Z,true,,one moment",
        "CA1,MZ1,inbound,customer,3,0,3000,3240,2026-11-21T10:06:59.123Z,false,,and then it",
        "CA1,MZ2,agent%20two,unknown,1,0,1000,1800,2026-11-21T10:07:01.623Z,true,en,hello again",
        "",
    ]


def test_json() -> None:
    made = evidence(whole(words=[("inbound", "hi")]), alerts=[alert()], redacted_wrapups=[wrapup()])
    assert json.loads(to_json(made.fold.record())) == {
        "v": 1,
        "call_id": "CA1",
        "text": "raw",
        "tenant": "default",
        "carrier": "twilio",
        "route": "sales",
        "status": "completed",
        "reason": "stopped",
        "started": "2026-11-21T10:06:56.123000Z",
        "ended": "2026-11-21T10:06:56.123000Z",
        "duration_ms": 5000,
        "streams": [
            {
                "stream_id": "MZ1",
                "epoch": 1,
                "started": "2026-11-21T10:06:56.123000Z",
                "ended": "2026-11-21T10:06:56.123000Z",
                "carrier": "twilio",
                "route": "sales",
                "tracks": [
                    {"track": "inbound", "role": "customer", "encoding": "pcmu", "rate": 8000},
                    {"track": "outbound", "role": "agent", "encoding": "pcmu", "rate": 8000},
                ],
                "params": {"agent": "7"},
                "status": "completed",
                "reason": "stopped",
                "duration_ms": 5000,
                "segments": [
                    {
                        "track": "inbound",
                        "role": "customer",
                        "segment": 1,
                        "rev": 0,
                        "start_ms": 1000,
                        "end_ms": 1800,
                        "text": "hi",
                        "final": True,
                        "reason": "pause",
                    }
                ],
            }
        ],
        "alerts": [
            {
                "id": "1-0",
                "stream_id": "MZ1",
                "epoch": 1,
                "n": 4,
                "at": "2026-11-21T10:06:56.123000Z",
                "alert": "a1",
                "state": "raised",
                "rule": "no-promise",
                "rule_version": "3",
                "severity": "warning",
                "title": "Never promise",
                "track": "inbound",
                "segment": 1,
            }
        ],
        "wrapups": [
            {
                "id": "1-0",
                "stream_id": "MZ1",
                "epoch": 1,
                "n": 4,
                "at": "2026-11-21T10:06:56.123000Z",
                "wrapup": "w1",
                "made_from": "redacted",
                "trigger": "ended",
                "model": "m",
                "summary": [
                    {
                        "text": "A bill.",
                        "citations": [
                            {
                                "stream_id": "MZ1",
                                "track": "inbound",
                                "segment": 1,
                                "start_ms": 0,
                                "end_ms": 80,
                            }
                        ],
                    }
                ],
                "follow_ups": [],
                "disposition": "billing",
            }
        ],
    }


@pytest.mark.parametrize(
    ("text", "vtt", "csv"),
    [
        ("a --> b", "a --&gt; b", "a --> b"),
        ("<b>x</b> & <00:01.000>", "&lt;b&gt;x&lt;/b&gt; &amp; &lt;00:01.000&gt;", None),
        ("one\n\n00:00.000 --> 00:01.000\nWEBVTT", "one 00:00.000 --&gt; 00:01.000 WEBVTT", None),
        ("nul\0and\x1b[31m\r\n", "nul and [31m", "nul and [31m"),
        ('say "a, b"', 'say "a, b"', '"say ""a, b"""'),
        ("=HYPERLINK(1)", "=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("-1", "-1", "'-1"),
        ("\u2028line\u0085end", "line end", "line end"),
    ],
)
def test_hostile_text_stays_in_its_cue_and_its_cell(text: str, vtt: str, csv: str | None) -> None:
    record = evidence(whole(words=[("inbound", "x")])).fold.record()
    record.streams[0].segments[0].text = text
    assert to_vtt(record).splitlines()[5:] == [f"<v customer>{vtt}"]
    assert to_txt(record).splitlines()[6:] != []
    assert len(to_txt(record).splitlines()) == 7
    if csv:
        assert to_csv(record).splitlines()[1].endswith(f"true,,{csv}")


def test_hostile_track_stays_in_its_voice() -> None:
    story = Story().start().say("a>b\n-->", "x").end()
    assert "<v a&gt;b --&gt;>x" in to_vtt(evidence(story.events).fold.record())


def test_cue_ends_after_it_begins() -> None:
    story = (
        Story()
        .start()
        .add("transcript.final", track="t", segment=1, rev=0, text="x", start_ms=500, end_ms=500)
    )
    assert "00:00:00.500 --> 00:00:00.501\n" in to_vtt(evidence(story.events).fold.record())


@pytest.mark.parametrize("name", FORMATS)
def test_call_without_words_has_every_format(name: str) -> None:
    assert FORMATS[name](CallRecord("CA1", Text.RAW, VERSION)).endswith("\n")
