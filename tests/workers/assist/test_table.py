"""Scripted calls: the alerts that rules must raise, at which millisecond, and must not raise."""

from typing import Any

import pytest

from tests.workers.assist import scripts
from tests.workers.assist.scripts import play, ruleset, script, shown
from tests.workers.client.stories import fields

CANCEL = "id: cancel, kind: said, role: customer, phrases: [cancel my account]"
NEVER = "id: never, kind: never, role: agent, phrases: [I guarantee]"
PATTERN = r"id: close, kind: said, patterns: ['clos\w+ (my|the) account']"
RECORDED = "id: rec, kind: required, role: agent, within_s: 10, phrases: [call is recorded]"
OFFER = (
    "id: offer, kind: required, role: agent, within_s: 5, phrases: [discount],"
    " after: [cancel my account], after_role: customer"
)
GOODBYE = "id: bye, kind: required, role: agent, phrases: [thank you for calling]"
TERMS = "id: terms, kind: order, role: agent, phrases: [right to cancel], before: [card number]"
ASKED = (
    "id: asked, kind: order, role: agent, phrases: [right to cancel], before: [my card number],"
    " before_role: customer"
)
HEAR = "id: hear, kind: repetition, phrases: [do you hear me], times: 2, within_s: 10"
THRICE = "id: thrice, kind: repetition, phrases: [hello], times: 3, within_s: 5"
SILENCE = "id: air, kind: dead_air, longer_ms: 5000"
OVER = "id: over, kind: talk_over, longer_ms: 1000"
RATIO = "id: ratio, kind: talk_ratio, role: agent, above_percent: 70, after_s: 4"
QUIET = "id: quiet, kind: talk_ratio, role: agent, below_percent: 20, after_s: 4"
LONG = "id: long, kind: monologue, longer_s: 4"
SLOW = "id: slow, kind: pace, slower_than_wpm: 100, window_s: 2"
FAST = "id: fast, kind: pace, faster_than_wpm: 290, window_s: 2"
GAPS = "id: gaps, kind: trouble, causes: [reconnect, model_mute], longer_ms: 1000"

# A word is complete when the next one is published: 700 ms after its end. The last word of a turn
# is complete with the final: 1500 ms after its end. Words take 200 ms.
TABLE = {
    # Words
    "phrase in mid-turn": (CANCEL, "C 1.0 I cancel my account now", "cancel@2500"),
    "phrase at the end of a turn": (CANCEL, "C 1.0 I cancel my account", "cancel@3300"),
    "phrase in other case and punctuation": (
        CANCEL,
        "C 1 CANCEL, my ... Account! ok",
        "cancel@2300",
    ),
    "phrase of another role": (CANCEL, "A 1.0 cancel my account please", ""),
    "phrase on a mixed track": (CANCEL, "M 1.0 cancel my account please", "cancel@2300"),
    "part of a phrase": (CANCEL, "C 1.0 cancel my subscription please", ""),
    "words of a phrase in another order": (CANCEL, "C 1.0 my account cancel it", ""),
    "word that only begins like the phrase": (CANCEL, "C 1.0 cancel my accountant please", ""),
    "phrase twice in a turn": (
        CANCEL,
        "C 1.0 cancel my account cancel my account now",
        "cancel@2300 cancel@2900",
    ),
    "phrase twice in two turns": (
        CANCEL,
        "C 1.0 cancel my account | C 8.0 cancel my account",
        "cancel@3100 cancel@10100",
    ),
    "once per call": (
        f"{CANCEL}, once: true",
        "C 1.0 cancel my account | C 8.0 cancel my account",
        "cancel@3100",
    ),
    "phrase across two segments": (CANCEL, "C 1.0 cancel my | C 2.5 account now", "cancel@3400"),
    "phrase across a long pause": (CANCEL, "C 1.0 cancel my | C 6.0 account now", ""),
    "phrase across another speaker's turn": (
        CANCEL,
        "C 1.0 cancel my | A 1.6 yes | C 2.5 account now",
        "cancel@3400",
    ),
    "never": (NEVER, "A 1.0 I guarantee you that", "never@2100"),
    "never, said by the other": (NEVER, "C 1.0 do you guarantee I guarantee nothing", ""),
    "pattern": (PATTERN, "C 1.0 closing the account today", "close@2300"),
    "pattern in capitals and punctuation": (PATTERN, "C 1.0 Close: MY account. bye", "close@2100"),
    "pattern is not matched": (PATTERN, "C 1.0 close your account today", ""),
    "pattern twice": (
        PATTERN,
        "C 1.0 close my account close the account ok",
        "close@2300 close@2900",
    ),
    "apostrophes": (
        "id: dont, kind: said, phrases: [don't hang up]",
        "C 1.0 Don\u2019t hang up please",
        "dont@2300",
    ),
    "hyphens": ("id: up, kind: said, phrases: [follow up]", "A 1.0 a follow-up call", "up@2100"),
    "script without spaces": (
        "id: zh, kind: said, phrases: [取消合同]",
        "C 1.0 我要取消合同了 谢谢",
        "zh@1700",
    ),
    "accents in two encodings": (
        "id: de, kind: said, phrases: [kündigen]",
        "C 1.0 ich ku\u0308ndigen das",
        "de@2100",
    ),
    "words that are true or false in YAML": (
        "id: no, kind: said, phrases: [no]",
        "C 1.0 no thanks",
        "no@1900",
    ),
    "overlapping phrases of a rule count once": (
        "id: one, kind: said, phrases: [recorded line, a recorded line today]",
        "A 1.0 a recorded line today ok",
        "one@2300",
    ),
    # Revisions
    "final takes the words back": (
        CANCEL,
        "C 1.0 cancel my account now => cancel my amount now",
        "cancel@2300 -cancel@3300",
    ),
    "final adds the words": (CANCEL, "C 1.0 cancel my amount => cancel my account", "cancel@3100"),
    "revision takes the words back": (
        CANCEL,
        "C 1.0 cancel my account now >> cancel my amount now",
        "cancel@2300 -cancel@3300",
    ),
    "revision takes the words back long before the final": (
        CANCEL,
        "C 1.0 cancel my account now >> cancel my amount now if you can do that for me",
        "cancel@2300 -cancel@3100",
    ),
    "revision repeats the words": (
        CANCEL,
        "C 1.0 cancel my account now >> please cancel my account now",
        "cancel@2300",
    ),
    "revision adds the words": (
        CANCEL,
        "C 1.0 cancel my amount now >> cancel my account now",
        "cancel@2300",
    ),
    "retracted duty": (
        RECORDED,
        "A 1.0 call is recorded now => call is accorded now",
        "rec@14000",
    ),
    # Required
    "said in time": (RECORDED, "A 1.0 hello this call is recorded", ""),
    "said late": (RECORDED, "A 11.0 this call is recorded", "rec@11700"),
    "said late, nothing before": (RECORDED, "C 1.0 hello | end 20.0", "rec@14000"),
    "said by the other": (RECORDED, "C 1.0 is it true this call is recorded", "rec@14000"),
    "call shorter than the time": (RECORDED, "A 1.0 hello | end 8.0", ""),
    "call ends before it is judged": (RECORDED, "A 1.0 hello | end 11.0", "rec@13000"),
    "said in time, published late": (
        f"{RECORDED}",
        "A 9.6 this call is recorded | C 1.0 hello",
        "",
    ),
    "required at all": (GOODBYE, "A 1.0 hello | end 20.0", "bye@22000"),
    "required at all, and said": (GOODBYE, "A 18.0 thank you for calling | end 20.0", ""),
    "required after a cue": (OFFER, "C 1.0 cancel my account now | end 20.0", "offer@10600"),
    "required after a cue, and said": (
        OFFER,
        "C 1.0 cancel my account now | A 3.0 we have a discount for you",
        "",
    ),
    "required after a cue, said before it": (
        OFFER,
        "A 0.2 a discount | C 2.0 cancel my account | end 20.0",
        "offer@11600",
    ),
    "required after two cues, said after the first": (
        OFFER,
        "C 1.0 cancel my account now | A 3.0 a discount ok | C 12.0 cancel my account | end 22",
        "offer@21600",
    ),
    "cue that is taken back": (
        OFFER,
        "C 1.0 cancel my account now => cancel my amount now | end 20.0",
        "",
    ),
    "another route": (f"{RECORDED}, routes: [sales]", "A 1.0 hello", ""),
    "its own route": (f"{RECORDED}, routes: [sales, support]", "A 1.0 hello", "rec@14000"),
    "another tenant": (f"{RECORDED}, tenants: [acme]", "A 1.0 hello", ""),
    # Order
    "in order": (TERMS, "A 1.0 your right to cancel | A 5.0 the card number please", ""),
    "not at all": (TERMS, "A 1.0 the card number please", "terms@2300"),
    "in the wrong order": (
        TERMS,
        "A 1.0 the card number please | A 5.0 your right to cancel it",
        "terms@2300",
    ),
    "cue by the other, not at all": (ASKED, "C 1.0 my card number is", "asked@5600"),
    "cue by the other, in order": (ASKED, "A 1.0 right to cancel it | C 3.0 my card number is", ""),
    "order, taken back by the final": (
        TERMS,
        "A 1.0 right to cancel it => rye to cancel it | A 5.0 card number please",
        "terms@6100",
    ),
    # Repetition
    "asked twice": (HEAR, "C 1.0 do you hear me | C 4.0 do you hear me", "hear@6300"),
    "asked once": (HEAR, "C 1.0 do you hear me", ""),
    "asked twice, far apart": (HEAR, "C 1.0 do you hear me | C 14.0 do you hear me", ""),
    "asked once by each": (HEAR, "C 1.0 do you hear me | A 4.0 do you hear me", ""),
    "asked four times": (
        HEAR,
        "C 1 do you hear me | C 4 do you hear me | C 7 do you hear me | C 10 do you hear me",
        "hear@6300 hear@12300",
    ),
    "asked twice, one taken back": (
        HEAR,
        "C 1.0 do you hear me now | C 4.0 do you hear me now => do you fear me now",
        "hear@5500 -hear@6500",
    ),
    "three times in one turn": (THRICE, "C 1.0 hello hello hello hello ok", "thrice@2300"),
    # Who speaks when
    "dead air": (SILENCE, "C 1.0 hello | end 20.0", "air@10200"),
    "dead air at the beginning": (SILENCE, "C 12.0 hello | end 15.0", "air@9000"),
    "dead air at the end": (SILENCE, "C 1.0 hello | end 7.0", "air@9000"),
    "no dead air": (SILENCE, "C 1.0 hello | A 5.0 yes | C 9.0 ok | end 12.0", ""),
    "dead air between turns": (
        SILENCE,
        "C 1.0 hello | A 11.0 yes sorry | end 14.0",
        "air@10200",
    ),
    "no dead air in a pause": (SILENCE, "C 1.0 hello | pause 2.0 | resume 18.0 | end 20.0", ""),
    "dead air before a pause": (
        SILENCE,
        "C 1.0 hello | pause 7.5 | resume 18.0 | end 20.0",
        "air@7500",
    ),
    "no dead air in a gap": (
        SILENCE,
        "C 1.0 hello | gap C 1.5 16.0 reconnect | end 20.0",
        "air@10200",
    ),
    "words that come late end dead air": (
        SILENCE,
        "C 1.0 hello | A 5.9 one two three four five six seven eight nine ten | end 11.0",
        "",
    ),
    "talk-over": (
        OVER,
        "C 1.0 a b c d e f g h i j k l | A 2.0 no no no no no no no no",
        "over@3500",
    ),
    "short overlap": (OVER, "C 1.0 a b c d e f | A 2.0 no no no no no", ""),
    "same speaker": (OVER, "C 1.0 a b c d e f g | C 3.0 h i j k l m n", ""),
    "talk-over, judged when both have spoken long enough": (
        OVER,
        "C 1.0 a b c d e f g h i j | A 1.5 no no no no no no",
        "over@3100",
    ),
    "monologue": (LONG, "C 1.0 " + "la " * 25, "long@5500"),
    "monologue of two turns": (LONG, "C 1.0 a b c d e f g h | C 4.0 a b c d e f g", "long@5500"),
    "monologue with a mhm": (
        LONG,
        "C 1.0 a b c d e f g h | A 2.8 mhm | C 4.0 a b c d e f g",
        "long@5500",
    ),
    "monologue that is interrupted": (
        LONG,
        "C 1.0 a b c d e f g h | A 2.8 what is it that you | C 4.0 a b c d e f g",
        "",
    ),
    "talk ratio": (RATIO, "A 1.0 " + "la " * 25, "ratio@7500"),
    "talk ratio below the limit": (RATIO, "A 1 " + "la " * 15 + "| C 5.0 " + "la " * 12, ""),
    "talk ratio before there is enough": (RATIO, "A 1.0 la la la la la la", ""),
    "silent agent": (QUIET, "C 1.0 " + "la " * 25, "quiet@7500"),
    "slow speech": (SLOW, "C 1.0 w => one two | C 5 a b c d e f g h i j", ""),
    "slow speech, long words": (SLOW, "C 1.0 a b c d e f g h i j => onlytwo words", "slow@4500"),
    "fast speech": (FAST, "A 1.0 a b c d e f g h i j", "fast@4500"),
    "fast speech, too little of it": (FAST, "A 1.0 a b c d e f g", ""),
    # Trouble
    "gap": (GAPS, "gap C 2.0 4.0 reconnect", "gaps@4500"),
    "short gap": (GAPS, "gap C 2.0 2.5 reconnect", ""),
    "gap of another cause": (GAPS, "gap C 2.0 4.0 carrier_loss", ""),
    "two gaps": (GAPS, "gap C 2 4 reconnect | gap A 3 5 model_mute", "gaps@4500 gaps@5500"),
    "stream failed": (GAPS, "end 5.0 failed", "gaps@7000"),
    "stream lost": (GAPS, "end 5.0 lost", "gaps@7000"),
    "stream completed": (GAPS, "end 5.0", ""),
}


@pytest.mark.parametrize("name", TABLE)
def test_call(name: str) -> None:
    rule, lines, expected = TABLE[name]
    assert shown(play(ruleset(rule), script(lines))) == expected


@pytest.mark.parametrize("name", TABLE)
def test_call_with_all_rules_raises_the_same(name: str) -> None:
    """Rules do not disturb each other: the alerts of one rule are the same among all others."""
    rule, lines, expected = TABLE[name]
    others = [CANCEL, NEVER, PATTERN, GOODBYE, TERMS, HEAR, SILENCE, OVER, RATIO, LONG, GAPS]
    ids = rule.partition(",")[0]
    changes = play(ruleset(rule, *(o for o in others if o.partition(",")[0] != ids)), script(lines))
    own = [each for each in changes if f"id: {each.rule.id}" == ids]
    assert shown(own) == expected


# Rules of one kind, which are measured together, in an order that is not that of their limits.
SHARED = (
    *(f"id: air{ms}, kind: dead_air, longer_ms: {ms}" for ms in (4000, 9000, 2000, 6000)),
    *(f"id: over{ms}, kind: talk_over, longer_ms: {ms}" for ms in (1500, 500, 1000)),
    "id: over_agent, kind: talk_over, role: agent, longer_ms: 700",
    "id: over_customer, kind: talk_over, role: customer, longer_ms: 700",
    *(f"id: long{s}, kind: monologue, longer_s: {s}" for s in (5, 2, 4, 3)),
    "id: long_agent, kind: monologue, role: agent, longer_s: 3",
    "id: long_customer, kind: monologue, role: customer, longer_s: 1",
)


@pytest.mark.parametrize(
    "lines",
    [
        *(lines for rule, lines, _ in TABLE.values() if rule in (SILENCE, OVER, LONG)),
        "C 1.0 hello | pause 6.5 | resume 18.0 | end 20.0",
        "C 1.0 hello | pause 12.0 | resume 14.0 | A 18.0 yes | end 29.0",
        "C 1.0 hello | A 3.5 one two three | C 12.0 yes => yes I do so | end 16.0",
        f"C 1.0 {'la ' * 30} => la la | A 2.0 {'no ' * 20} | C 9.0 {'la ' * 12}",
    ],
)
def test_rules_of_one_kind_raise_what_each_would_alone(lines: str) -> None:
    together = play(ruleset(*SHARED), script(lines))
    for rule in SHARED:
        own = [each for each in together if rule.startswith(f"id: {each.rule.id},")]
        assert own == play(ruleset(rule), script(lines)), rule


def test_words_that_come_late_for_some_time_raise_no_dead_air(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Symptom: with a slow model, dead air was raised and withdrawn within each turn."""
    monkeypatch.setattr(scripts, "LATENCY_MS", 7000)
    lines = " | ".join(f"{'CA'[n % 2]} {n * 3}.0 one two three" for n in range(10))
    assert shown(play(ruleset(SILENCE), script(f"{lines} | end 30.0"))) == ""


type Values = dict[str, Any]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("A 1.0 yes I guarantee | end 5.0 lost", "never@7000"),
        ("A 1.0 I guarantee | A 5.0 hello there", "never@5700"),
        ("A 1.0 I | A 2.0 guarantee | A 3.5 hello", "never@4200"),
    ],
)
def test_last_word_of_a_segment_without_a_final_counts(lines: str, expected: str) -> None:
    """Symptom: "I guarantee" raised nothing if the gateway was lost before the final."""
    events = [each for each in script(lines) if each[1]["type"] != "transcript.final"]
    assert shown(play(ruleset(NEVER), events)) == expected


def test_last_word_of_a_lost_stream_may_continue_when_it_is_resumed() -> None:
    own: Values = {"track": "outbound", "role": "agent", "segment": 1, "rev": 0}
    times: Values = {"start_ms": 1000, "end_ms": 2000}
    tracks = '[{"track": "outbound", "role": "agent", "encoding": "pcmu", "rate": 8000}]'
    end: Values = {"status": "lost", "reason": "", "duration_ms": 2000, "gap_ms": 0}
    stories = [
        fields("stream.started", 1, tracks=tracks),
        fields("transcript.delta", 2, text=" I guarantee", **own, **times),
        fields("stream.ended", 1, epoch=2, **end),
        fields("stream.started", 1, epoch=3, resumes=1, tracks=tracks),
        fields("transcript.delta", 2, epoch=3, text="d it", **own, **times),
        fields("transcript.final", 3, epoch=3, text="I guaranteed it", **own, **times),
    ]
    events = [(scripts.BEGAN_MS + 1000 * n, each) for n, each in enumerate(stories)]
    assert shown(play(ruleset(NEVER), events)) == "never@2000 -never@5000"
    for n, text in ((4, " you"), (5, "I guarantee you")):
        events[n][1]["text"] = text
    assert shown(play(ruleset(NEVER), events)) == "never@2000"


def test_talk_over_is_withdrawn_by_a_shorter_final_whoever_has_spoken_since() -> None:
    """Symptom: each delta took one of 16 places, so that the pair of turns was not found."""
    letters = " ".join("abcdefghijklmnopqrstuvwxyz")
    events = script(f"C 1.0 a b c d e f g h i j k l | A 2.0 no no no no no no | M 1.0 {letters}")
    is_final = [each[1]["type"] == "transcript.final" for each in events]
    at = next(n for n, each in enumerate(events) if is_final[n] and each[1]["role"] == "agent")
    late = (scripts.BEGAN_MS + 7000, {**events.pop(at)[1], "end_ms": "2200"})
    changes = play(ruleset(OVER), sorted([*events, late], key=lambda each: each[0]))
    pair = "over:MZ1:inbound:1+MZ1:outbound:1"
    assert shown(each for each in changes if each.id == pair) == "over@3500 -over@7000"


def test_monologue_is_withdrawn_by_a_shorter_final() -> None:
    events = script(f"C 1.0 {'la ' * 25}")
    at = next(n for n, (_, each) in enumerate(events) if each["type"] == "transcript.final")
    events[at] = (events[at][0], {**events[at][1], "end_ms": "4000"})
    assert shown(play(ruleset(LONG), events)) == "long@5500 -long@7500"
