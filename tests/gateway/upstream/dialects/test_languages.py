"""The language of a final is a code, whatever the server sends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.dialects.languages import language_code

CODE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")


@pytest.mark.parametrize(
    ("reported", "code"),
    [
        ("en", "en"),
        ("EN-us", "en-US"),
        ("pt_BR", "pt-BR"),
        ("zh-hans", "zh-Hans"),
        ("zh-HANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("taq", "taq"),
        ("English", "en"),
        ("Cantonese", "yue"),
        ("filipino", "fil"),
    ],
)
def test_codes_and_names(reported: str, code: str) -> None:
    assert language_code(reported) == code


@pytest.mark.parametrize(
    "reported",
    [
        *(None, "", "None", "und", "mul", "multi", "unknown", "e", "klingon", "en-", "en-US-x-me"),
        *(
            "4111111111111111",
            "en 4111",
            "en\n",
            "\u0435\u043d",
            "x" * 10**6,
            7,
            ["en"],
            {"code": "en"},
        ),
    ],
)
def test_anything_else_is_no_language(reported: object) -> None:
    assert language_code(reported) is None


@given(st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9_-]{1,12}"))
def test_what_is_published_is_a_code(reported: str) -> None:
    code = language_code(reported)
    assert code is None or CODE.fullmatch(code)
