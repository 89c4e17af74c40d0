"""The endpoint's settings, as the environment gives them."""

import pytest

from deploy.local.sagemaker.settings import Settings, SettingsError, load

NEEDED = {"ENDPOINT_ACCESS_KEY_ID": "AKIDEXAMPLE", "ENDPOINT_SECRET_ACCESS_KEY": "canary"}


@pytest.fixture(autouse=True)
def needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_NAMES", "one, two")
    assert load().names == ("one", "two")


def test_a_url_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_CONTAINER_URL", "http://bridge:8080/")
    assert load().container_url == "http://bridge:8080"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENDPOINT_PROT", "canary"),
        ("ENDPOINT_PORT", "canary"),
        ("ENDPOINT_PORT", "70000"),
        ("ENDPOINT_CONTAINER_URL", "canary"),
        ("ENDPOINT_NAMES", ""),
        ("ENDPOINT_ACCESS_KEY_ID", ""),
        ("ENDPOINT_SECRET_ACCESS_KEY", ""),
        ("ENDPOINT_DRAIN_TIMEOUT_S", "0"),
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


def test_an_identity_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENDPOINT_ACCESS_KEY_ID")
    with pytest.raises(SettingsError, match="ENDPOINT_ACCESS_KEY_ID"):
        load()


def test_each_is_documented_and_no_secret_is_shown() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert "canary" not in repr(load())
