"""From an OpenID provider's claims to a viewer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.relay.sign_in.identity import RoleTable, Rules, viewer_of
from workers.relay.sign_in.refusal import EXPLANATIONS, SignInError
from workers.relay.sign_in.viewer import Role, Scope, Text

TABLE = RoleTable("groups", {"leads": Role.SUPERVISOR, "agents": Role.AGENT})
RULES = Rules(TABLE, "org", {})
CLAIMS: dict[str, Any] = {"sub": "7", "name": "Ann", "groups": ["x", "agents"], "org": "b"}


def refusal(rules: Rules = RULES, **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    with pytest.raises(SignInError) as caught:
        viewer_of(claims, rules, expires_s=9)
    return caught.value.reason


def test_claims_become_a_viewer() -> None:
    viewer = viewer_of(CLAIMS, RULES, expires_s=9)
    assert (viewer.name, viewer.subject, viewer.expires_s) == ("Ann", "user:7", 9)
    assert (viewer.role, viewer.text) == (Role.AGENT, Text.REDACTED)
    assert viewer.scope == Scope(call_id=None, route=None, tenant="b")


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ("agents", Role.AGENT),
        (["agents", "leads"], Role.SUPERVISOR),
        ([7, None, {"a": 1}, ["leads"], "agents"], Role.AGENT),
    ],
)
def test_first_value_of_the_table_decides(groups: object, role: Role) -> None:
    assert viewer_of({**CLAIMS, "groups": groups}, RULES, expires_s=9).role is role


@pytest.mark.parametrize("groups", [..., None, [], "", "Agents", ["agents "], {"agents": 1}, 7])
def test_user_without_a_role_is_refused(groups: object) -> None:
    assert refusal(groups=groups) == "no-role"


@pytest.mark.parametrize("tenant", [..., None, "", ["b"], 7, "b" * 129, "b\n", "\ud800"])
def test_user_without_a_tenant_is_refused(tenant: object) -> None:
    assert refusal(org=tenant) == "no-tenant"


@pytest.mark.parametrize("subject", [..., None, "", 7, "s" * 256, "s\x00", "\ud800"])
def test_user_without_a_subject_is_refused(subject: object) -> None:
    assert refusal(sub=subject) == "token-invalid"


def test_without_a_tenant_claim_all_tenants_are_shown() -> None:
    viewer = viewer_of(CLAIMS, Rules(TABLE, None, {}), expires_s=9)
    assert viewer.scope.tenant is None


def test_text_of_a_role_is_raw_for_supervisors_unless_set() -> None:
    claims = {**CLAIMS, "groups": "leads"}
    assert viewer_of(claims, RULES, expires_s=9).text is Text.RAW
    redacted = Rules(TABLE, None, {Role.SUPERVISOR: Text.REDACTED})
    assert viewer_of(claims, redacted, expires_s=9).text is Text.REDACTED


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_name_is_short_and_printable(name: str) -> None:
    found = viewer_of({**CLAIMS, "name": name}, RULES, expires_s=9).name
    assert found.isprintable()
    assert 0 < len(found) <= 64


def test_every_reason_has_an_explanation() -> None:
    reasons = {refusal(groups=[]), refusal(org=None), refusal(sub=None)}
    assert reasons < EXPLANATIONS.keys()
    assert {each.status for each in EXPLANATIONS.values()} == {400, 403, 503}
