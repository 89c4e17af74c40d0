"""Rules files: every mistake with its line and column; hostile files are refused at once."""

import time
from pathlib import Path

import pytest

import deploy
from workers.assist import program
from workers.assist.document import MAX_BYTES
from workers.assist.load import RulesError, compile_file, read_rules
from workers.assist.program import Ruleset

EXAMPLE = Path(deploy.__path__[0]) / "rules/example.yaml"
HEAD = "version: 1\nrules:\n"


def problems(text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        read_rules(text)
    return str(caught.value).splitlines()


def test_example_is_valid_and_shows_every_kind() -> None:
    rules = read_rules(EXAMPLE.read_text(encoding="utf-8")).rules
    assert len({rule.kind for rule in rules}) == 11
    assert len(Ruleset(read_rules(EXAMPLE.read_text(encoding="utf-8"))).labels) == len(rules)


def test_rules_of_all_calls_are_compiled_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symptom: a fault of a rule with routes showed in the first call of the route."""
    compiled: list[int] = []
    monkeypatch.setattr(program, "_compile", compiled.extend)
    text = f"{HEAD}  - {{id: a, kind: said, title: x, phrases: [a], routes: [sales], tenants: [t]}}"
    compile_file(text.encode())
    assert compiled == [0]


def test_all_mistakes_are_reported_at_once_with_their_places() -> None:
    text = (
        HEAD
        + """\
  - id: Bad Id
    kind: said
    title: x
    phrases: [a]
  - id: a
    kind: sayd
    title: x
  - id: b
    kind: required
    title: ""
    phrasess: [a]
    within_s: -3
  - id: b
    title: x
  - id: c
    kind: said
    title: x
    patterns: ["(", "a*"]
    role: boss
  - foo
  - {id: d, kind: trouble, title: x, causes: [nope]}
  - {id: e, kind: said, title: x}
  - {id: f, kind: said, title: x, phrases: ["..."]}
"""
    )
    kinds = (
        "said, never, required, order, repetition, talk_over, dead_air, talk_ratio, monologue, "
        "pace, trouble"
    )
    assert problems(text) == [
        "3:9: rules[0].id must be small letters, digits and . _ -, up to 64",
        f"8:11: rules[1].kind must be one of {kinds}",
        "12:12: rules[2].title must not be empty",
        "13:5: rules[2].phrasess is not a key here; did you mean phrases?",
        "14:15: rules[2].within_s must be more than 0.0",
        f"15:5: rules[3] needs a kind: {kinds}",
        "15:9: rules[3].id is the id of an earlier rule, too",
        "20:16: rules[4].patterns[0] is not a regular expression of RE2: missing ): (",
        "20:21: rules[4].patterns[1] matches the empty text, so it would match always",
        "21:11: rules[4].role must be 'agent' or 'customer'",
        "22:5: rules[5] must be a mapping of keys to values",
        "23:47: rules[6].causes[0] must be 'carrier_loss', 'backpressure', 'reconnect', "
        "'model_mute', 'paused' or 'not_sent'",
        "24:5: rules[7] needs phrases or patterns",
        "25:45: rules[8].phrases[0] must have 1 to 20 words",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file is empty"),
        ("- a", "1:1: the file must be a mapping of keys to values"),
        ("version: 2\nrules: []", "1:10: version must be '1'"),
        ("version: 1\nrules: 3", "2:8: rules must be a list"),
        ("version: 1", "1:1: rules must be set"),
        ("version: 1\nversion: 1\nrules: []", "2:1: version is given twice"),
        ("version: 1\nrules: [", "3:1: is not YAML: did not find expected node content"),
        ("a: &x [1]\nb: *x", "1:4: anchors and aliases (& and *) are not accepted"),
        ("a: !!python/object:os.system x", "1:4: tags (!) are not accepted"),
        ("a: " + "[" * 5000, "1:15: nested more than 12 levels deep"),
        ("? [a]\n: b", "1:3: a key must be text"),
        ("a: \x00", "1:1: is not YAML: control characters are not allowed"),
        ("a: x\n" * 1_000_000, f"1:1: the file exceeds {MAX_BYTES} bytes"),
        (HEAD + "  - {id: a, kind: required, title: x, phrases: [a], after: [b]}",
         "3:5: rules[0] after needs within_s"),
        (HEAD + "  - {id: a, kind: talk_ratio, title: x, role: agent}",
         "3:5: rules[0] needs above_percent or below_percent"),
    ],
)  # fmt: skip
def test_refused(text: str, problem: str) -> None:
    begin_s = time.process_time()
    assert problems(text)[0] == problem
    assert time.process_time() - begin_s < 2


def test_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert problems("\n".join(lines)) == ["1:5: anchors and aliases (& and *) are not accepted"]


def test_version_of_a_rule_changes_with_its_content() -> None:
    def label(rule: str) -> str:
        return Ruleset(read_rules(f"{HEAD}  - {{id: a, title: x, {rule}}}")).labels[0]

    assert label("kind: said, phrases: [a]") == label("phrases: ['a'], kind: said")
    assert label("kind: said, phrases: [a]") != label("kind: said, phrases: [b]")
    assert label("kind: said, phrases: [a], version: '7'") == "7"
