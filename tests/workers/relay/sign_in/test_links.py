"""Links and sessions as tokens: what is accepted, and every way in which one is refused."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from workers.relay.sign_in import links, sessions, tokens
from workers.relay.sign_in.links import Grant, mint, single_scope, verify
from workers.relay.sign_in.tokens import Keyring, Kind, TokenError
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Scope, Text, Viewer

NOW_S = 1_700_000_000
SECRET = "a" * 40
KEYS = Keyring([SECRET])
KEY = KEYS._keys[Kind.LINK][0]  # noqa: SLF001 - to sign wrong tokens with the right key
CALL = Scope(call_id="CA1", route=None, tenant=None)
TOKEN = mint(KEYS, Grant(CALL), link_id="l1", now_s=NOW_S).token
CLAIMS: dict[str, Any] = jwt.decode(TOKEN, options={"verify_signature": False})
HEADER = {"typ": "callscribe-link+jwt"}


def refusal(token: str, now_s: float = NOW_S, keys: Keyring = KEYS) -> str:
    with pytest.raises(TokenError) as caught:
        verify(keys, token, now_s)
    return caught.value.reason


def signed(
    key: Any = KEY, algorithm: str = "HS256", header: dict[str, Any] = HEADER, **changes: Any
) -> str:
    return jwt.encode({**CLAIMS, **changes}, key, algorithm, header)


def with_content(**changes: Any) -> str:
    content = {**CLAIMS["content"], **changes}
    return signed(content={name: each for name, each in content.items() if each is not ...})


@given(
    st.sampled_from(Role),
    st.sampled_from(Text),
    st.sampled_from(["call_id", "route", "tenant", "all"]),
    st.integers(1, tokens.MAX_LIFETIME_S),
)
def test_link_admits_to_what_was_granted(
    role: Role, text: Text, kind: str, lifetime_s: int
) -> None:
    values = {name: "b" if name == kind else None for name in ("call_id", "route", "tenant")}
    scope = single_scope(**values, is_all=kind == "all")
    grant = Grant(scope, role, text, "ann", lifetime_s)
    token = mint(KEYS, grant, link_id="l1", now_s=NOW_S).token
    until_s = NOW_S + lifetime_s
    expected = Viewer("ann", "link:l1", role, text, scope, until_s, "l1")
    assert verify(KEYS, token, until_s - 0.001) == expected
    assert refusal(token, until_s) == "expired"


def test_control_token_is_accepted() -> None:
    assert verify(KEYS, signed(), NOW_S) == verify(KEYS, TOKEN, NOW_S)


def test_any_secret_verifies_and_the_first_signs() -> None:
    old, new = Keyring(["b" * 40]), Keyring(["c" * 40, "b" * 40])
    from_old = mint(old, Grant(CALL), link_id="l", now_s=NOW_S).token
    from_new = mint(new, Grant(CALL), link_id="l", now_s=NOW_S).token
    assert verify(new, from_old, NOW_S) == verify(new, from_new, NOW_S)
    assert refusal(from_new, keys=old) == "invalid"
    assert refusal(from_new, keys=Keyring([])) == "invalid"


@given(st.integers(0, len(TOKEN) - 2), st.characters(min_codepoint=33, max_codepoint=126))
def test_changed_token_is_refused(at: int, character: str) -> None:
    # The last character has unused bits.
    if TOKEN[at] != character:
        assert refusal(TOKEN[:at] + character + TOKEN[at + 1 :]) == "invalid"


@given(st.text(alphabet=st.characters(exclude_categories=[])) | st.binary().map(bytes.hex))
def test_arbitrary_text_is_refused(text: str) -> None:
    assert refusal(text) == "invalid"


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def unsigned() -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", **HEADER}).encode()).rstrip(b"=")
    return f"{head.decode()}.{TOKEN.split('.')[1]}."


@pytest.mark.parametrize(
    "token",
    [
        unsigned(),
        signed(algorithm="HS512", key=KEY * 2),
        signed(key=RSA_KEY, algorithm="RS256"),
        signed(key=b"b" * 32),
        signed(key=SECRET),
        signed(header={}),
        signed(header={"typ": "callscribe-session+jwt"}),
        signed(header={"typ": ["callscribe-link+jwt"]}),
        signed(header={**HEADER, "crit": ["x"], "x": 1}),
        signed(aud="callscribe-relay-session"),
        signed(aud=["callscribe-relay-link"]),
        signed(aud=None),
        signed(iat=NOW_S + 61),
        signed(iat="now"),
        signed(iat=NOW_S + 0.5),
        signed(exp=NOW_S + tokens.MAX_LIFETIME_S + 1),
        signed(exp=None),
        signed(exp=True),
        signed(exp=1e300),
        signed(content=None),
        signed(content=[]),
        with_content(role="root"),
        with_content(role=...),
        with_content(text="both"),
        with_content(scope=...),
        with_content(scope=None),
        with_content(scope={}),
        with_content(scope={"call_id": None, "route": None}),
        with_content(scope={"call_id": ["CA1"], "route": None, "tenant": None}),
        with_content(name=7),
        with_content(session_id=...),
        TOKEN + "A" * 4096,
        "",
        "..",
        TOKEN + ".",
        TOKEN.rpartition(".")[0],
    ],
)
def test_wrong_token_is_refused(token: str) -> None:
    assert refusal(token) == "invalid"


def test_clocks_of_relays_may_differ_by_a_minute() -> None:
    assert verify(KEYS, signed(iat=NOW_S + 60), NOW_S).name == "guest"


def test_session_is_no_link_and_link_is_no_session() -> None:
    viewer = verify(KEYS, TOKEN, NOW_S)
    session = sessions.sign(KEYS, viewer, NOW_S)
    assert sessions.verify(KEYS, session, NOW_S) == viewer
    assert refusal(session) == "invalid"
    with pytest.raises(TokenError, match="invalid"):
        sessions.verify(KEYS, TOKEN, NOW_S)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_session_ends_with_its_link(lifetime_s: int, session_s: int) -> None:
    link = mint(KEYS, Grant(CALL, lifetime_s=lifetime_s), link_id="l", now_s=NOW_S).viewer
    viewer = sessions.begin(link, session_id="s", session_s=session_s, now_s=NOW_S + 0.9)
    assert viewer.expires_s == NOW_S + min(lifetime_s, session_s)
    assert (viewer.session_id, viewer.subject, viewer.scope) == ("s", link.subject, link.scope)


@pytest.mark.parametrize(
    "values",
    [
        (None, None, None, False),
        ("CA1", None, "b", False),
        ("CA1", None, None, True),
        ("", None, None, False),
        ("CA 1", None, None, False),
        ("CA1\n", None, None, False),
        (None, "*" * 10, None, False),
        (None, None, "b" * 301, False),
    ],
)
def test_scope_must_be_exactly_one(values: tuple[str | None, str | None, str | None, bool]) -> None:
    call_id, route, tenant, is_all = values
    with pytest.raises(ValueError, match="the scope must be"):
        single_scope(call_id, route, tenant, is_all=is_all)


@pytest.mark.parametrize("lifetime_s", [0, -1, tokens.MAX_LIFETIME_S + 1])
def test_lifetime_is_bounded(lifetime_s: int) -> None:
    with pytest.raises(ValueError, match="the lifetime must be"):
        Grant(ALL_CALLS, lifetime_s=lifetime_s)


@pytest.mark.parametrize("name", ["", " ann", "ann\n", "a" * 65, "<b>", "a\tb", 'a"b'])
def test_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the name must be"):
        Grant(ALL_CALLS, name=name)


def test_repr_of_link_contains_no_token() -> None:
    made = mint(KEYS, Grant(CALL), link_id="l1", now_s=NOW_S)
    assert made.token not in repr(made)
    assert made.url("https://relay.example.com") == f"https://relay.example.com/open#{made.token}"
    assert made.viewer.expires_s - NOW_S == links.DEFAULT_LIFETIME_S
