"""Stream tokens: what they are bound to, and forgeries."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.auth.stream_tokens import mint, read
from gateway.errors import CarrierError

KEY = bytes(range(32))
NONCE = "nonce-of-16_char"
OF_A_CALL = mint(KEY, "plivo", "support", "call-1", 1000, NONCE)
OF_ANY_CALL = mint(KEY, "plivo", "support", None, 1000, NONCE)


def is_accepted(
    token: str,
    *,
    key: bytes = KEY,
    carrier: str = "plivo",
    route: str = "support",
    call_id: str = "call-1",
    now_s: float = 1000.0,
) -> bool:
    try:
        read(key, carrier, route, token, now_s).check(call_id)
    except CarrierError as error:
        assert error.reason == "token-invalid"  # noqa: PT017  # all rejections have this reason
        return False
    return True


def test_token_is_valid_for_its_call_until_it_expires() -> None:
    assert is_accepted(OF_A_CALL)
    assert is_accepted(OF_A_CALL, now_s=0)
    assert not is_accepted(OF_A_CALL, now_s=1000.1)
    assert not is_accepted(OF_A_CALL, call_id="call-2")
    assert not is_accepted(OF_A_CALL, call_id="")


def test_unbound_token_is_valid_for_any_call() -> None:
    assert is_accepted(OF_ANY_CALL)
    assert is_accepted(OF_ANY_CALL, call_id="call-2")
    assert not is_accepted(OF_ANY_CALL, now_s=1000.1)


def test_token_for_an_empty_call_id_is_not_unbound() -> None:
    token = mint(KEY, "plivo", "support", "", 1000, NONCE)
    assert is_accepted(token, call_id="")
    assert not is_accepted(token, call_id="call-1")


def test_read_returns_the_id_and_expiry_for_replay_detection() -> None:
    token = read(KEY, "plivo", "support", OF_A_CALL, 0)
    assert (token.once, token.expires_s) == (NONCE, 1000)
    other = mint(KEY, "plivo", "support", "call-1", 1000, "another-nonce-16")
    assert read(KEY, "plivo", "support", other, 0).once != token.once


def test_token_fits_in_a_path_and_in_a_parameter() -> None:
    longest = mint(KEY, "plivo", "support", "c" * 500, 10**11, "n" * 64)
    for token in (OF_A_CALL, OF_ANY_CALL, longest):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,170}", token)


def test_token_and_repr_reveal_neither_call_nor_key() -> None:
    shown = repr(read(KEY, "plivo", "support", OF_A_CALL, 0)) + OF_A_CALL
    assert "call-1" not in shown
    assert repr(KEY)[2:-1] not in shown
    assert OF_A_CALL.split(".")[2] not in repr(read(KEY, "plivo", "support", OF_A_CALL, 0))


@pytest.mark.parametrize("nonce", ["", "short", "n" * 65, "nonce.of.16.char", "nonce/of/16/char"])
def test_invalid_nonce_is_rejected(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        mint(KEY, "plivo", "support", None, 1000, nonce)


def altered(part: int, text: str, token: str = OF_A_CALL) -> str:
    parts = token.split(".")
    parts[part] = text
    return ".".join(parts)


FORGERIES = {
    "empty": "",
    "dots": "...",
    "garbage": "garbage",
    "longer life": altered(0, "9999"),
    "life without end": altered(0, "9" * 5000),
    "other digits": altered(0, "\u0661000"),
    "negative": altered(0, "-1"),
    "zeros before": altered(0, "01000"),
    "another nonce": altered(1, "nonce-of-16_chaR"),
    "call taken away": altered(2, ""),
    "another call's": altered(2, mint(KEY, "a", "b", "call-2", 1000, NONCE).split(".")[2]),
    "mac cut": OF_A_CALL[:-1],
    "no mac": altered(3, ""),
    "the call's mac": altered(3, OF_A_CALL.split(".")[2]),
    "wrong key": mint(b"other", "plivo", "support", "call-1", 1000, NONCE),
    "another carrier's": mint(KEY, "telnyx", "support", "call-1", 1000, NONCE),
    "another route's": mint(KEY, "plivo", "sales", "call-1", 1000, NONCE),
    "no route's": mint(KEY, "plivo", "", "call-1", 1000, NONCE),
    "the same letters": mint(KEY, "plivos", "upport", "call-1", 1000, NONCE),
    "a line after it": OF_A_CALL + "\n",
    "right and more": OF_A_CALL + ".",
    "not text": "\udcff" + OF_A_CALL,
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES)
def test_forged_token_is_rejected(token: str) -> None:
    assert not is_accepted(token)


@given(
    token=st.text()
    | st.builds(
        lambda at, cut, insert: OF_A_CALL[:at] + insert + OF_A_CALL[at + cut :],
        st.integers(0, len(OF_A_CALL)),
        st.integers(0, 3),
        st.text(max_size=3),
    )
)
def test_only_the_exact_token_is_accepted(token: str) -> None:
    assert is_accepted(token) == (token == OF_A_CALL)


@given(minted=st.tuples(*[st.text(max_size=4)] * 3), shown=st.tuples(*[st.text(max_size=4)] * 3))
def test_token_is_bound_to_carrier_route_and_call(
    minted: tuple[str, str, str], shown: tuple[str, str, str]
) -> None:
    token = mint(KEY, *minted, 1000, NONCE)
    for carrier, route, call_id in (minted, shown):
        is_same = (carrier, route, call_id) == minted
        assert is_accepted(token, carrier=carrier, route=route, call_id=call_id) == is_same
