"""The gateway's settings: required combinations, exclusions and secrets."""

from pathlib import Path

import pytest
import structlog
from pydantic_settings import BaseSettings

from common.settings import SettingsError, load
from gateway.carriers.registry import CARRIERS
from gateway.carriers.settings import plain
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.twilio import Twilio
from gateway.reload import CarrierSettings
from gateway.settings import Settings, Upstream

GOOD = {
    "GATEWAY_PUBLIC_URL": "https://gw.example.com/",
    "GATEWAY_SAGEMAKER_ENDPOINT": "callscribe",
    "AWS_REGION": "eu-west-1",
}


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> pytest.MonkeyPatch:
    """An environment with valid settings only, and no `.env` file."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def load_all() -> tuple[Settings, list[BaseSettings]]:
    """Load all settings that the process loads."""
    parts = [carrier.Settings for carrier in CARRIERS]
    return load(Settings, parts), [load(part) for part in parts]


def test_defaults_are_sufficient(environment: pytest.MonkeyPatch) -> None:
    loaded, _ = load_all()
    assert loaded.public_url == "https://gw.example.com"
    assert loaded.upstream is Upstream.SAGEMAKER
    assert loaded.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GATEWAY_PUBLIC_URL", "gw.example.com", "GATEWAY_PUBLIC_URL: "),
        ("GATEWAY_PUBLIC_URL", "https://gw.example.com/?a=1", "GATEWAY_PUBLIC_URL: "),
        ("GATEWAY_PUBLIC_URL", "https://gw.example.com/#a", "GATEWAY_PUBLIC_URL: "),
        ("GATEWAY_UPSTREAM", "pigeon", "GATEWAY_UPSTREAM: "),
        ("GATEWAY_UPSTREAM", "websocket", "needs GATEWAY_REALTIME_URL"),
        ("AWS_REGION", "", "AWS_REGION"),
        ("GATEWAY_TWILIO_DIAL", "911", "GATEWAY_TWILIO_DIAL: "),
        ("GATEWAY_TWILIO_DAIL", "+15551234567", "unknown: GATEWAY_TWILIO_DAIL"),
        ("GATEWAY_LOG_LEVEL", "loud", "GATEWAY_LOG_LEVEL: "),
        ("GATEWAY_DIALECT", "latin", "GATEWAY_DIALECT: "),
        ("GATEWAY_REALTIME_API_KEYS", "{", "GATEWAY_REALTIME_API_KEYS: must be JSON"),
        ("GATEWAY_REALTIME_API_KEYS", '{"a": ""}', "GATEWAY_REALTIME_API_KEYS: must be JSON"),
    ],
)
def test_invalid_setting_is_refused_in_one_line(
    environment: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_all()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_setting_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("GATEWAY_PUBLIC_URL")
    with pytest.raises(SettingsError, match="GATEWAY_PUBLIC_URL: must be set"):
        load_all()


def test_exclusive_settings_are_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_TWILIO_DIAL", "+15551234567")
    environment.setenv("GATEWAY_TWILIO_REDIRECT_URL", "https://ivr.example.com")
    both = "GATEWAY_TWILIO_DIAL and GATEWAY_TWILIO_REDIRECT_URL exclude each other"
    with pytest.raises(SettingsError, match=both):
        load_all()


def test_repr_and_errors_contain_no_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_TWILIO_AUTH_TOKEN", "hush-1")
    environment.setenv("GATEWAY_REDIS_URL", "redis://:hush-2@127.0.0.1")
    environment.setenv("GATEWAY_TWILIO_DIAL", "+15551234567")
    shown = repr(load_all())
    assert "hush" not in shown
    assert "+1555" not in shown
    environment.setenv("GATEWAY_TWILIO_DIAL", "number-hush-3")
    with pytest.raises(SettingsError) as caught:
        load_all()
    assert "hush" not in str(caught.value)


def test_api_keys_have_names(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_REALTIME_API_KEY", "hush-1")
    environment.setenv("GATEWAY_REALTIME_API_KEYS", '{"a": "hush-2"}')
    loaded, _ = load_all()
    assert "hush" not in repr(loaded)
    assert (loaded.api_key(None), loaded.api_key("a")) == ("hush-1", "hush-2")
    with pytest.raises(SettingsError, match="has no key named b") as caught:
        loaded.api_key("b")
    assert "hush" not in str(caught.value)


def test_incomplete_carrier_settings_are_logged(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_CXONE_SECRET", "sixteen characters")
    environment.setenv("GATEWAY_TELNYX_DIAL", "+15551234567")
    with structlog.testing.capture_logs() as logs:
        CarrierSettings(CARRIERS).make()
    assert [(each["carrier"], each["needs"]) for each in logs] == [
        ("telnyx", "GATEWAY_TELNYX_SECRET"),
        ("cxone", "GATEWAY_CXONE_EXPERIMENTAL"),
    ]


@pytest.mark.parametrize("secret", ["1234567890123456", "true", "null", '"quoted"', "{}", "1e5"])
def test_secret_that_looks_like_json_is_not_parsed(
    environment: pytest.MonkeyPatch, tmp_path: Path, secret: str
) -> None:
    """Symptom to prevent: a token of digits is read as a number and refused."""
    environment.setenv("GATEWAY_TWILIO_AUTH_TOKEN", secret)
    (tmp_path / "GATEWAY_PLIVO_AUTH_TOKEN").write_text(secret + "\n")
    assert plain(load(Twilio.Settings).auth_token) == (secret,)
    assert plain(load(Plivo.Settings, (), tmp_path).auth_token) == (secret,)


def test_secrets_are_read_from_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment takes precedence over files."""
    environment.setenv("GATEWAY_SECRETS_DIR", str(tmp_path))
    (tmp_path / "GATEWAY_REALTIME_API_KEY").write_text("from-a-file\n")
    (tmp_path / "GATEWAY_MODEL").write_text("of-a-file")
    (tmp_path / "..data").mkdir()
    environment.setenv("GATEWAY_MODEL", "of-the-environment")
    loaded, _ = load_all()
    assert loaded.realtime_api_key is not None
    assert loaded.realtime_api_key.get_secret_value() == "from-a-file"
    assert loaded.model == "of-the-environment"
    (tmp_path / "GATEWAY_MODLE").write_text("x")
    with pytest.raises(SettingsError, match="unknown: GATEWAY_MODLE"):
        load_all()
    environment.setenv("GATEWAY_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="folder of secrets can't be read: No such file"):
        load_all()
