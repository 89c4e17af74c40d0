"""Credentials from botocore's real chain, with local sources."""

import asyncio
import json
import sys
import threading
from pathlib import Path

import pytest
from botocore.credentials import Credentials

from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.credentials import CredentialSource

STREAM_S = 1800.0


@pytest.fixture(autouse=True)
def nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all credentials from the environment, and disable the metadata service."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def credential_process(folder: Path, *lifetimes_s: float) -> Path:
    """Configure a process that returns keys with these lifetimes in turn, and counts its calls."""
    count = folder / "count"
    count.write_text("0")
    script = folder / "keys.py"
    script.write_text(
        "import datetime, json, pathlib\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "n = int(count.read_text())\n"
        "count.write_text(str(n + 1))\n"
        f"lifetimes = {json.dumps(lifetimes_s)}\n"
        "now = datetime.datetime.now(datetime.timezone.utc)\n"
        "end = now + datetime.timedelta(seconds=lifetimes[min(n, len(lifetimes) - 1)])\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'AK{n}', 'SecretAccessKey': 's',"
        " 'SessionToken': 't', 'Expiration': end.isoformat()}))\n"
    )
    (folder / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    return count


async def reason_of(source: CredentialSource) -> str:
    with pytest.raises(UpstreamError) as refused:
        await source.frozen(STREAM_S)
    return refused.value.reason


async def test_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    keys = await CredentialSource(timeout_s=20).frozen(STREAM_S)
    assert (keys.access_key, keys.secret_key, keys.token) == ("AK", "a secret", "a token")
    assert "secret" not in repr(keys)
    assert "token" not in repr(keys)


async def test_no_credentials_is_an_error() -> None:
    assert await reason_of(CredentialSource(timeout_s=20)) == "no-credentials"


async def test_keys_that_outlive_the_stream_are_resolved_once(tmp_path: Path) -> None:
    count = credential_process(tmp_path, 3600)
    source = CredentialSource(timeout_s=20)
    assert {(await source.frozen(STREAM_S)).access_key for _ in range(5)} == {"AK0"}
    assert count.read_text() == "1"


async def test_keys_that_expire_during_the_stream_are_refreshed_first(tmp_path: Path) -> None:
    credential_process(tmp_path, 1000, 3600)
    assert (await CredentialSource(timeout_s=20).frozen(STREAM_S)).access_key == "AK1"


async def test_keys_that_always_expire_too_soon_are_rejected(tmp_path: Path) -> None:
    """Secrets that rotate during a stream break the chain of signatures."""
    credential_process(tmp_path, 1000)
    assert await reason_of(CredentialSource(timeout_s=20)) == "credentials-expired"


async def test_failure_of_a_source_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\ncredential_process = /nonexistent/process\n")
    with pytest.raises(UpstreamError) as refused:
        await CredentialSource(timeout_s=20).frozen(STREAM_S)
    assert refused.value.reason == "no-credentials"
    assert "/nonexistent" not in str(refused.value), "the error of the source is quoted"


async def test_key_without_secret_is_rejected() -> None:
    source = CredentialSource(timeout_s=20, chain=lambda: Credentials("AK", ""))
    assert await reason_of(source) == "no-credentials"


async def test_source_that_hangs_times_out() -> None:
    release = threading.Event()

    def hang() -> None:
        release.wait(60)

    source = CredentialSource(timeout_s=0.1, chain=hang)
    started = threading.active_count()
    try:
        reasons = await asyncio.gather(*(reason_of(source) for _ in range(10)))
        assert reasons == ["no-credentials"] * 10
        assert threading.active_count() <= started + 1, "there is more than one run"
    finally:
        release.set()


async def test_concurrent_calls_share_one_run(tmp_path: Path) -> None:
    count = credential_process(tmp_path, 3600)
    source = CredentialSource(timeout_s=20)
    keys = await asyncio.gather(*(source.frozen(STREAM_S) for _ in range(10)))
    assert {each.access_key for each in keys} == {"AK0"}
    assert count.read_text() == "1"


async def test_keys_added_later_are_found_without_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = CredentialSource(timeout_s=20)
    assert await reason_of(source) == "no-credentials"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert (await source.frozen(STREAM_S)).access_key == "AK"
