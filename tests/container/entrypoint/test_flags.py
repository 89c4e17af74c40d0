"""`SM_VLLM_…` variables to vLLM's flags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.entrypoint.flags import flags_of

CASES = [
    # Names: lower case, underscores become dashes.
    ("MAX_MODEL_LEN", "45000", ["--max-model-len", "45000"]),
    ("SEED", "-1", ["--seed=-1"]),
    ("DTYPE", "", ["--dtype"]),
    # Booleans.
    ("ENFORCE_EAGER", "true", ["--enforce-eager"]),
    ("ENFORCE_EAGER", " True ", ["--enforce-eager"]),
    ("ENFORCE_EAGER", "FALSE", []),
    ("NO_ENABLE_PREFIX_CACHING", "true", ["--no-enable-prefix-caching"]),
    ("NUM_LOOKAHEAD_SLOTS", "1", ["--num-lookahead-slots", "1"]),
    # JSON: an array is a list of words, an object is one word.
    ("SERVED_MODEL_NAME", '["a", "b c"]', ["--served-model-name", "a", "b c"]),
    ("SERVED_MODEL_NAME", "[]", []),
    ("CUDAGRAPH_CAPTURE_SIZES", "[1, 2, 4]", ["--cudagraph-capture-sizes", "1", "2", "4"]),
    ("LORA_MODULES", '[{"name": "é"}, [1, true]]', ["--lora-modules", '{"name":"é"}', "[1,true]"]),
    ("COMPILATION_CONFIG", '{"a": "b"}', ["--compilation-config", '{"a": "b"}']),
    ("ALLOWED_ORIGINS", '["*"]', ["--allowed-origins", '["*"]']),
    ("REASONING_PARSER", "[not json", ["--reasoning-parser", "[not json"]),
    # No shell sees the value.
    ("CHAT_TEMPLATE", "a b", ["--chat-template", "a b"]),
    ("CHAT_TEMPLATE", "'$(id)' \"x\"", ["--chat-template", "'$(id)' \"x\""]),
    ("CHAT_TEMPLATE", "a=b\nc", ["--chat-template", "a=b\nc"]),
    ("CHAT_TEMPLATE", "--x", ["--chat-template=--x"]),
]


@pytest.mark.parametrize(("name", "value", "words"), CASES)
def test_value_becomes_words(name: str, value: str, words: list[str]) -> None:
    assert flags_of({name: value}) == words


def test_flags_are_in_the_order_of_their_names() -> None:
    assert flags_of({"B": "1", "A": "true"}) == ["--a", "--b", "1"]


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True), st.text()))
def test_any_value_is_one_flag_or_none(values: dict[str, str]) -> None:
    """A value that is no array adds at most one word, and never a flag of its own."""
    words = flags_of({name: value for name, value in values.items() if "[" not in value})
    assert sum(word.startswith("-") for word in words) <= len(values)
