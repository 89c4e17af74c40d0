"""Error messages about settings: every validator of every process."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from common.settings import SettingsError, load, variable_of
from container.bridge.settings import Settings as BridgeSettings
from container.cpu.settings import Settings as EngineSettings
from deploy.local.sagemaker.settings import Settings as EndpointSettings
from gateway.carriers.registry import CARRIERS
from gateway.carriers.vendors.bandwidth import Bandwidth
from gateway.carriers.vendors.telnyx import Telnyx
from gateway.carriers.vendors.twilio import Twilio
from gateway.settings import Settings as GatewaySettings
from workers.settings import Settings as WorkerSettings

KINDS: list[type[BaseSettings]] = [
    GatewaySettings,
    BridgeSettings,
    EngineSettings,
    EndpointSettings,
    WorkerSettings,
    *(carrier.Settings for carrier in CARRIERS),
]
GOOD = {
    "GATEWAY_PUBLIC_URL": "https://gw.example.com",
    "GATEWAY_SAGEMAKER_ENDPOINT": "callscribe",
    "AWS_REGION": "eu-west-1",
    "ENDPOINT_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "ENDPOINT_SECRET_ACCESS_KEY": "secret",
}
BAD = ["x", "-1", "0", "99999999", "1.5", " ", ",", "x" * 200, "http://", "nan", "9" * 5000]
# Pydantic's phrases, which do not help an operator.
NOT_OURS = ("Input should", "String should", "Value should", "base64-encoded", "Ed25519", "parse")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(kind: type[BaseSettings]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(kind)
    return str(caught.value)


def refusals(
    kind: type[BaseSettings], environment: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Yield each bad value that is refused, and how."""
    for name, value in itertools.product(kind.model_fields, BAD):
        with environment.context() as patch:
            patch.setenv(variable_of(kind, name), value)
            try:
                load(kind)
            except SettingsError as error:
                yield value, str(error)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__module__)
def test_messages_do_not_use_pydantics_wording(
    kind: type[BaseSettings], environment: pytest.MonkeyPatch
) -> None:
    """Symptom: the error about GATEWAY_TELNYX_PUBLIC_KEY was the text of a library."""
    refused = list(refusals(kind, environment))
    for value, text in refused:
        assert not [phrase for phrase in NOT_OURS if phrase in text]
        assert "\n" not in text
        assert len(value) < 3 or value not in text
    assert refused


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (GatewaySettings, "GATEWAY_PORT", "eight", "GATEWAY_PORT: must be a whole number"),
        (GatewaySettings, "GATEWAY_PORT", "70000", "GATEWAY_PORT: must be 65535 or less"),
        (GatewaySettings, "GATEWAY_LEASE_S", "0", "GATEWAY_LEASE_S: must be more than 0"),
        (GatewaySettings, "GATEWAY_CHUNK_MS", "5", "GATEWAY_CHUNK_MS: must be 20 or more"),
        (GatewaySettings, "GATEWAY_IDLE_TIMEOUT_S", "2 min", "must be a number"),
        (GatewaySettings, "GATEWAY_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        (GatewaySettings, "GATEWAY_UPSTREAM", "aws", "must be 'sagemaker' or 'websocket'"),
        (GatewaySettings, "GATEWAY_PUBLIC_URL", "gw.example.com", "must be a URL, with its scheme"),
        (GatewaySettings, "GATEWAY_PUBLIC_URL", "wss://gw.example.com", "http:// or https://"),
        (GatewaySettings, "GATEWAY_PUBLIC_URL", "https://gw.example.com?a=1", "no query, no"),
        (GatewaySettings, "GATEWAY_REALTIME_URL", "http://m/v1", "must begin with ws:// or wss://"),
        (GatewaySettings, "GATEWAY_ID", "x" * 129, "must have at most 128 characters"),
        (GatewaySettings, "AWS_REGION", "", "needs GATEWAY_SAGEMAKER_ENDPOINT and AWS_REGION"),
        (Telnyx.Settings, "GATEWAY_TELNYX_PUBLIC_KEY", "x", "must be base64 of 32 bytes"),
        (Telnyx.Settings, "GATEWAY_TELNYX_PUBLIC_KEY", "AAAA", "the account's page"),
        (Telnyx.Settings, "GATEWAY_TELNYX_SECRET", "short", "must have at least 16 characters"),
        (Twilio.Settings, "GATEWAY_TWILIO_DIAL", "911", "E.164, such as +15551234567"),
        (Twilio.Settings, "GATEWAY_TWILIO_IGNORE_SIGNATURES", "ja", "must be true or false"),
        (Bandwidth.Settings, "GATEWAY_BANDWIDTH_WEBHOOK_USERNAME", "a:b", "must have no colon"),
        (EngineSettings, "ENGINE_DELAY_MS", "500", "must be a multiple of 80"),
        (EndpointSettings, "ENDPOINT_NAMES", "a,,b", "ENDPOINT_NAMES: must not be empty"),
    ],
)
def test_messages_state_the_valid_values(
    kind: type[BaseSettings],
    name: str,
    value: str,
    message: str,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv(name, value)
    assert message in refusal(kind)


def test_missing_setting_is_described(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("GATEWAY_PUBLIC_URL")
    assert refusal(GatewaySettings).startswith("GATEWAY_PUBLIC_URL: must be set (The gateway's URL")


def test_misspelt_setting_is_suggested_for_a_missing_one(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("GATEWAY_PUBLIC_URL")
    environment.setenv("GATWAY_PUBLIC_URL", "https://hush.example.com")
    text = refusal(GatewaySettings)
    assert "GATWAY_PUBLIC_URL is set: did you mean GATEWAY_PUBLIC_URL?" in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("GATEWAY_PUBLIC_ULR", "GATEWAY_PUBLIC_URL"),
        ("GATEWAY_MAXCALLS", "GATEWAY_MAX_CALLS"),
        ("GATEWAY_REDIS_URI", "GATEWAY_REDIS_URL"),
        ("GATEWAY_DRAIN_TIMEOUT", "GATEWAY_DRAIN_TIMEOUT_S"),
        ("GATEWAY_TWILIO_TOKEN", "GATEWAY_TWILIO_AUTH_TOKEN"),
        ("GATEWAY_TELNYX_PUBKEY", "GATEWAY_TELNYX_PUBLIC_KEY"),
    ],
)
def test_unknown_setting_gets_a_suggestion(
    given: str, meant: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(given, "hush")
    with pytest.raises(SettingsError) as caught:
        load(GatewaySettings, [carrier.Settings for carrier in CARRIERS])
    assert str(caught.value) == f"unknown: {given} (did you mean {meant}?)"


def test_unknown_setting_without_similar_name_gets_no_suggestion(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("GATEWAY_XYZZY", "1")
    assert refusal(GatewaySettings) == "unknown: GATEWAY_XYZZY"
