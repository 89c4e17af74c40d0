"""StreamAuthenticator, for every carrier that has one: secrets, tokens, and forgeries."""

from typing import Any

import pytest

from gateway.carriers.auth.stream_authenticator import (
    AuthenticatedCarrier,
    StreamAuthenticator,
    Tokens,
)
from gateway.carriers.events import CallStarted
from gateway.carriers.registry import CARRIERS
from gateway.carriers.settings import SecretSettings
from gateway.carriers.vendors.browser import new_adapter
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, SECRET, basic, link, upgrade, upgrade_of

ANOTHER = "a-secret-of-somebody-else"
QUERY = "mix=stereo"  # required by FreeSWITCH, ignored by the others
START = CallStarted("c1", "s1", ())

AUTHENTICATED: list[Any] = [
    carrier for carrier in CARRIERS if AuthenticatedCarrier in carrier.__mro__
]
EXPERIMENTAL = {"cxone": {"experimental": True}}
each = pytest.mark.parametrize("kind", AUTHENTICATED, ids=lambda kind: kind.name)


def opened(kind: Any) -> Any:
    return kind(kind.Settings(**OPEN, **EXPERIMENTAL.get(kind.name, {})))


def token(carrier: str, route: str = "", secret: str = SECRET, made_s: float = NOW_S) -> str:
    return Tokens(carrier, secret, ttl_s=300).mint(route, "c1", made_s)


@each
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer  {SECRET} "},
        {"Authorization": basic(SECRET)},
        {"Authorization": SECRET},
    ],
)
def test_secret_is_accepted_for_any_call(kind: Any, headers: dict[str, Any]) -> None:
    admitted = opened(kind).upgrade(upgrade(kind.name, query=QUERY, **headers))
    assert admitted.once is None


@each
def test_token_is_accepted_for_one_call_until_it_ends(kind: Any) -> None:
    carrier = opened(kind)
    made = token(kind.name)
    shown = [
        upgrade(kind.name, query=QUERY, Authorization=f"Bearer {made}"),
        upgrade(kind.name, query=QUERY, Authorization=basic(made)),
        upgrade(kind.name, query=f"{QUERY}&tok={made}"),
        upgrade(kind.name, query=QUERY, route="sales", token=token(kind.name, "sales")),
    ]
    onces = [carrier.upgrade(request).once for request in shown]
    assert onces[0] == onces[1] == onces[2]
    assert len({once.value for once in onces}) == 2
    assert {(once.until_s, once.until_end) for once in onces} == {(NOW_S + 300, True)}


@each
@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "token-missing"),
        ({"Authorization": ""}, "token-missing"),
        ({"Authorization": "Basic !"}, "token-missing"),
        ({"Authorization": "Bearer " + SECRET * 200}, "token-missing"),
        ({"Authorization": f"Bearer {ANOTHER}"}, "token-invalid"),
        ({"Authorization": basic(ANOTHER, SECRET)}, "token-invalid"),
        ({"Authorization": "Bearer \udcff"}, "token-invalid"),
        ({"query": f"secret={SECRET}"}, "token-missing"),
        ({"query": "tok="}, "token-missing"),
        ({"query": f"tok={ANOTHER}"}, "token-invalid"),
        ({"route": "sales"}, "token-missing"),
        ({"route": "sales", "token": ANOTHER}, "token-invalid"),
        ({"route": SECRET}, "token-missing"),
    ],
)
def test_wrong_credentials_are_rejected(kind: Any, asked: dict[str, Any], reason: str) -> None:
    carrier = opened(kind)
    with pytest.raises(CarrierError) as caught:
        carrier.upgrade(upgrade(kind.name, **asked))
    assert caught.value.reason == reason
    assert SECRET not in str(caught.value)


@each
@pytest.mark.parametrize(
    "changed",
    [
        {"carrier": "another"},
        {"route": "support"},
        {"secret": ANOTHER},
        {"made_s": NOW_S - 302},
    ],
    ids=lambda changed: "".join(changed),
)
def test_token_for_other_carrier_route_secret_or_time_is_rejected(
    kind: Any, changed: dict[str, Any]
) -> None:
    right = {"carrier": kind.name, "route": "sales"}
    carrier = opened(kind)
    carrier.upgrade(upgrade(kind.name, route="sales", token=token(**right), query=QUERY))
    forged = token(**{**right, **changed})
    with pytest.raises(CarrierError, match="token-invalid"):
        carrier.upgrade(upgrade(kind.name, route="sales", token=forged, query=QUERY))


@each
def test_all_upgrades_are_rejected_without_a_secret(kind: Any) -> None:
    carrier = kind(kind.Settings(_env_file=None))
    assert carrier.missing_setting == f"GATEWAY_{kind.name.upper()}_SECRET"
    forgeries: list[dict[str, Any]] = [
        {},
        {"Authorization": "Bearer "},
        {"token": token(kind.name, secret="")},
    ]
    for shown in forgeries:
        with pytest.raises(CarrierError, match="token-missing"):
            carrier.upgrade(upgrade(kind.name, **shown))


@each
def test_secret_in_the_url_is_accepted_only_for_carriers_that_cannot_set_headers(kind: Any) -> None:
    carrier = opened(kind)
    for asked in (
        upgrade(kind.name, route="sales", token=SECRET, query=QUERY),
        upgrade(kind.name, query=f"{QUERY}&tok={SECRET}"),
    ):
        if kind.name in ("talkdesk", "ringcx"):
            assert carrier.upgrade(asked).once is None
            continue
        with pytest.raises(CarrierError, match="token-invalid"):
            carrier.upgrade(asked)


def test_token_in_url_is_bound_to_its_call() -> None:
    authenticator = StreamAuthenticator("any", SecretSettings(**OPEN))
    url = authenticator.url_with_token(link("any"), "c1", NOW_S)
    assert url.startswith("wss://gw.example.com/media/any/support/")
    admitted = authenticator.upgrade(upgrade_of(url), new_adapter)
    admitted.authorize(START)
    with pytest.raises(CarrierError, match="token-invalid"):
        admitted.authorize(CallStarted("c2", "s1", ()))


def test_rejected_upgrade_creates_no_adapter() -> None:
    def never() -> Any:
        raise AssertionError("an adapter was made")

    with pytest.raises(CarrierError, match="token-missing"):
        StreamAuthenticator("any", SecretSettings(**OPEN)).upgrade(upgrade("any"), never)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("a=1&b=%20x+y&a=2&c=", {"a": "2", "b": " x y", "c": ""}),
        ("%ff=%00&=1", {"\ufffd": "\x00", "": "1"}),
        ("a?b=c?d#e", {"a?b": "c?d#e"}),
    ],
)
def test_query_is_parsed(query: str, expected: dict[str, str]) -> None:
    assert upgrade("any", query=query).query == expected
