"""Settings with bearer tokens: valid and invalid values; error messages quote nothing."""

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.admin_tokens import AdminTokens, Holder
from common.settings import SettingsError

HUSH = "hush-0123456789abcdef"
OTHER = "other-0123456789abcdef"
VARIABLE = "SHOP_ADMIN_TOKENS"


class Scope(StrEnum):
    READ = "read"
    DRAIN = "drain"


def read(text: str) -> AdminTokens[Scope]:
    return AdminTokens.read(VARIABLE, Scope, text)


def entry(token: object = HUSH, scopes: object = ("read",), **more: object) -> dict[str, object]:
    return {"token": token, "scopes": scopes, **more}


def test_holder_is_found_by_token() -> None:
    text = json.dumps({"ops": entry(scopes=["read", "drain"]), "on-call": entry(OTHER)})
    tokens = read(text)
    assert tokens.holder(HUSH) == Holder("ops", frozenset({Scope.READ, Scope.DRAIN}))
    assert tokens.holder(OTHER) == Holder("on-call", frozenset({Scope.READ}))


@given(st.text())
def test_unknown_token_has_no_holder(token: str) -> None:
    tokens = read(json.dumps({"ops": entry()}))
    assert (tokens.holder(token) is None) == (token != HUSH)
    for near in (HUSH[:-1], HUSH + "x", HUSH.upper(), "", "\ud800"):
        assert tokens.holder(near) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (HUSH, "must be {"),
        ([HUSH], "must be {"),
        ({}, "must have at least one entry"),
        ({"ops": HUSH}, "must be {"),
        ({"ops": {"token": HUSH}}, "must be {"),
        ({"ops": {"scopes": ["read"]}}, "must be {"),
        ({"ops": entry(more=HUSH)}, "must be {"),
        ({"ops": {HUSH: ["read"]}}, "must be {"),
        ({"ops": entry(["read"], HUSH)}, "must be {"),
        ({"ops": entry(scopes=[])}, "entry 1: the scopes must be some of read, drain"),
        ({"ops": entry(scopes=["read", HUSH])}, "entry 1: the scopes must be"),
        ({"a": entry(), "b": entry("hush-short")}, "entry 2: the token must be at least 16"),
        ({"ops": entry(HUSH + " " + HUSH)}, "entry 1: the token must be"),
        ({"ops": entry(HUSH + "\n")}, "entry 1: the token must be"),
        ({HUSH: entry("ops")}, "entry 1: the token must be"),
        ({f"of {HUSH}": entry()}, "entry 1: the name must be"),
        ({"": entry()}, "entry 1: the name must be"),
        ({"ops": entry(), "more": entry()}, "two entries have the same token"),
    ],
)
def test_invalid_setting_is_refused_in_one_line_without_quotes(value: Any, message: str) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1)):
        with pytest.raises(SettingsError) as caught:
            read(text)
        line = str(caught.value)
        assert line.startswith(f"{VARIABLE}: ")
        assert message in line
        assert "hush" not in line
        assert "\n" not in line


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_arbitrary_text_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        read(text)


def test_repr_contains_no_token() -> None:
    tokens = read(json.dumps({"ops": entry()}))
    assert "hush" not in repr(vars(tokens))
