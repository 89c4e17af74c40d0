"""Settings of every process: documentation, and errors in one line without values."""

from pathlib import Path

import pytest
from pydantic import Field, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings

from common.manual import describe
from common.settings import Port, SettingsError, Url, config, load
from container.bridge.settings import Settings as BridgeSettings
from container.cpu.settings import Settings as EngineSettings
from deploy.local.sagemaker.settings import Settings as EndpointSettings
from gateway.settings import Settings as GatewaySettings


class Example(BaseSettings):
    """A process's settings, with one of each kind."""

    model_config = config("EXAMPLE_", env_file=".env")

    port: Port = Field(8000, description="Where to listen.")
    url: Url = Field("http://127.0.0.1:1", description="Whom to call.")
    timeout_s: PositiveFloat = Field(1, description="How long to wait.")
    secret: SecretStr | None = Field(None, description="What to say.")
    region: str = Field("nowhere", validation_alias="ELSEWHERE", description="Another's variable.")


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_URL", "http://example.com:8080/path/")
    monkeypatch.setenv("EXAMPLE_SECRET", "canary")
    monkeypatch.setenv("ELSEWHERE", "here")
    settings = load(Example)
    assert (settings.url, settings.region) == ("http://example.com:8080/path", "here")
    assert settings.secret is not None
    assert settings.secret.get_secret_value() == "canary"
    assert "canary" not in repr(settings)


def test_reads_the_env_file(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("EXAMPLE_PORT=81\nOTHER_PORT=82\n")
    assert load(Example).port == 81


def test_an_empty_setting_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symptom to prevent: an empty secret, which is known to everyone, is accepted."""
    monkeypatch.setenv("EXAMPLE_SECRET", "")
    assert load(Example).secret is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXAMPLE_PROT", "canary"),
        ("example_prot", "canary"),
        ("EXAMPLE_PORT", "canary"),
        ("EXAMPLE_PORT", "70000"),
        ("EXAMPLE_URL", "canary"),
        ("EXAMPLE_TIMEOUT_S", "-1"),
    ],
)
def test_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load(Example)
    assert name.upper() in str(refused.value)
    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_refuses_an_unknown_name_in_the_env_file(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("EXAMPLE_NONSENSE=1\n")
    with pytest.raises(SettingsError, match="unknown: EXAMPLE_NONSENSE"):
        load(Example)


@pytest.mark.parametrize(
    "kind", [GatewaySettings, BridgeSettings, EngineSettings, EndpointSettings, Example]
)
def test_every_setting_of_every_process_is_documented(kind: type[BaseSettings]) -> None:
    assert all(field.description for field in kind.model_fields.values())
    assert f"{kind.model_config['env_prefix']}PORT (8" in describe(kind)


def test_endpoint_names_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("ENDPOINT_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("ENDPOINT_NAMES", "one, two")
    assert load(EndpointSettings).names == ("one", "two")
