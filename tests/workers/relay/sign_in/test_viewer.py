"""Scopes and permissions."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from workers.relay.sign_in.viewer import ALL_CALLS, Permission, Role, Scope, Text, Viewer

names = st.sampled_from(["a", "b", ""])
values = st.none() | names
scopes = st.builds(Scope, call_id=values, route=values, tenant=values)


@given(scopes, names, names, names)
def test_scope_admits_calls_that_match_all_set_values(
    scope: Scope, call_id: str, route: str, tenant: str
) -> None:
    call = {"call_id": call_id, "route": route, "tenant": tenant}
    set_values = {
        name: each for name, each in dataclasses.asdict(scope).items() if each is not None
    }
    assert scope.admits(**call) == (set_values.items() <= call.items())
    assert ALL_CALLS.admits(**call)


@given(scopes, st.sampled_from(["call_id", "route", "tenant"]), names, names, names, names)
def test_narrower_scope_admits_no_more(
    scope: Scope, name: str, value: str, call_id: str, route: str, tenant: str
) -> None:
    before = getattr(scope, name)
    narrower = dataclasses.replace(scope, **{name: value if before is None else before})
    if narrower.admits(call_id=call_id, route=route, tenant=tenant):
        assert scope.admits(call_id=call_id, route=route, tenant=tenant)


def test_roles_have_their_permissions() -> None:
    allowed = {role: {what for what in Permission if viewer(role).may(what)} for role in Role}
    assert allowed == {
        Role.AGENT: {"calls", "mic"},
        Role.SUPERVISOR: {"calls", "timeline", "mic"},
        Role.AUDITOR: {"calls", "timeline"},
        Role.ADMIN: {"calls", "timeline", "mic", "links", "erase"},
    }


def viewer(role: Role) -> Viewer:
    return Viewer("ann", "user:1", role, Text.RAW, ALL_CALLS, 0, "s")
