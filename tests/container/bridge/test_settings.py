"""The bridge's settings, as the environment gives them."""

import pytest

from container.bridge.settings import Settings, SettingsError, load


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_ENGINE_URL", "http://engine:8081/")
    assert load().engine_url == "http://engine:8081"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BRIDGE_PROT", "canary"),
        ("BRIDGE_PORT", "canary"),
        ("BRIDGE_ENGINE_URL", "canary"),
        ("BRIDGE_DRAIN_TIMEOUT_S", "-1"),
    ],
)
def test_refuses_what_is_wrong_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load()
    assert name in str(refused.value)
    assert "canary" not in str(refused.value)


def test_each_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())
