"""The file of subscriptions: what is accepted, and what each mistake is reported as."""

from pathlib import Path
from typing import Any

import pytest

from common.settings import SettingsError
from tests.workers.push.pushing import OTHER_SECRET, SECRET
from workers.push.settings import Settings
from workers.push.subscriptions import (
    SOURCES,
    Subscription,
    Text,
    read_endpoints,
    read_subscriptions,
    sources,
)

_URL = "https://crm.example.com/hooks"


def write(folder: Path, text: str) -> Path:
    (folder / "good").write_text(SECRET + "\n")
    (folder / "short").write_text("whsec_AAAA")
    path = folder / "subscriptions.toml"
    path.write_text(text)
    return path


def one(**values: Any) -> str:
    given = {"url": f'"{_URL}"', "secrets": '["file:good"]'} | values
    lines = [f"{key} = {value}" for key, value in given.items() if value is not None]
    return "[subscriptions.crm]\n" + "\n".join(lines)


def test_defaults(tmp_path: Path) -> None:
    (endpoint,) = read_endpoints(write(tmp_path, one()), allow_http=False)
    assert endpoint.subscription == Subscription(
        "crm",
        frozenset({"transcript.final", "call.ended", "assist.alert", "assist.wrapup"}),
        Text.REDACTED,
    )
    assert endpoint.secrets == (bytes(range(24)),)
    assert sources([endpoint.subscription]) == ["redacted", "alerts", "redacted-wrapups"]


def test_url_and_secrets_come_from_the_environment_and_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_URL", f"{_URL}?token=t0p")
    monkeypatch.setenv("CRM_SECRET", OTHER_SECRET.rstrip("="))
    path = write(tmp_path, one(url='"env:CRM_URL"', secrets='["env:CRM_SECRET", "file:good"]'))
    (endpoint,) = read_endpoints(path, allow_http=False)
    assert endpoint.url.endswith("token=t0p")
    assert endpoint.secrets == (bytes(range(50, 90)), bytes(range(24)))
    assert "t0p" not in repr(endpoint)
    assert "secrets" not in repr(endpoint)
    assert [each.place for each in read_subscriptions(path)] == ["env:CRM_URL"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"{_URL}/t0p", "https://crm.example.com"),
        ("https://crm.example.com?token=t0p", "https://crm.example.com"),
        ("https://crm.example.com#t0p", "https://crm.example.com"),
        ("https://ann:t0p@crm.example.com:8443/x", "https://crm.example.com"),
        ("https://[::1?t0p", "malformed"),
        ("kafka://b1:9092,b2:9092", "kafka://b1:9092,b2:9092"),
        ("kafka+ssl://ann:t0p@b1:9092", "kafka+ssl://b1"),
    ],
)
def test_host_is_all_that_is_shown_of_a_url(tmp_path: Path, url: str, place: str) -> None:
    path = write(tmp_path, one(url=f'"{url}"'))
    assert [each.place for each in read_subscriptions(path)] == [place]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "subscriptions: must be set"),
        ("x = [", "is not valid TOML"),
        ("[subscriptions]", "subscriptions: "),
        (one(url=None), "subscriptions.crm.url: must be set"),
        (one(secrets=None), "subscriptions.crm.secrets: must not be empty"),
        (one(secrets="[]"), "subscriptions.crm.secrets: must not be empty"),
        (one(secrets='["whsec_abc"]'), "subscriptions.crm.secrets.0: must be env:NAME or file:"),
        (one(secrets='["env:NOT_SET"]'), "crm.secrets.0: the variable NOT_SET is not set"),
        (one(secrets='["file:none"]'), "secrets.0: the file none cannot be read: FileNotFound"),
        (one(secrets='["file:short"]'), "secrets.0: file:short must contain whsec_ and 24 to 64"),
        (one(url='"http://crm.example.com"'), "crm.url: must begin with https://"),
        (one(url='"gopher://h"'), "crm.url: must be a URL, env:NAME or file:PATH"),
        (one(url='"https://user:pass@h/"'), "crm.url: must contain no user and no password"),
        (one(url='"https://[::1"'), "crm.url: must be a URL, with its scheme and host"),
        (one(url='"https:///x"'), "crm.url: must be a URL, with its scheme and host"),
        (one(types='["transcript.delta"]'), "subscriptions.crm.types.0: must be "),
        (one(types="[]"), "subscriptions.crm.types: must not be empty"),
        (one(text='"both"'), "subscriptions.crm.text: must be "),
        (one(adapter='"fax"'), "subscriptions.crm.adapter: must be "),
        (one(routs="[]"), "subscriptions.crm.routs: is not a known setting"),
        (one().replace(".crm]", '."a b"]'), "must be 1 to 63 of A-Z a-z 0-9 _ -"),
    ],
)
def test_mistake_is_reported_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_endpoints(write(tmp_path, text), allow_http=False)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "pass@" not in str(error.value)
    assert "AAAA" not in str(error.value)


def test_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: FileNotFoundError"):
        read_subscriptions(tmp_path / "none.toml")


def test_redacted_subscription_reads_no_stream_with_raw_words() -> None:
    every = frozenset().union(*(types for _, types in SOURCES.values()))
    redacted = Subscription("crm", every, Text.REDACTED)
    assert {each for each in SOURCES if redacted.reads(each)} == {
        "redacted", "alerts", "redacted-wrapups"
    }  # fmt: skip
    raw = Subscription("crm", every, Text.RAW)
    assert {each for each in SOURCES if raw.reads(each)} == set(SOURCES) - {"redacted"}


def test_allowed_networks_are_read_from_the_environment() -> None:
    found = Settings(_env_file=None, allow_networks="10.0.0.0/8, fd12::/64").allow_networks
    assert [str(each) for each in found] == ["10.0.0.0/8", "fd12::/64"]
    with pytest.raises(ValueError, match="must be networks separated by commas"):
        Settings(_env_file=None, allow_networks="10.0.0.1/8")
