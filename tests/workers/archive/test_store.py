"""The folders of calls, in a directory and in S3."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from gateway.transcript.keys import encode_id
from tests.redis_servers import free_port
from tests.workers.archive.calls import Story, entries, evidence, whole
from workers.archive.evidence import Evidence
from workers.archive.manifest import EVENTS, NAME, RECORD, make_revision
from workers.archive.objects import Objects, StoreError, open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveError, ArchiveStore
from workers.archive.verify import State, verify

IDS = (
    "CA1",
    *(".", "..", "...", "a.b", "~", "-", "1"),
    *(encode_id(each) for each in ("%2E", "a/b", "../../etc/passwd", "a b", "é", "x" * 300, "a#1")),
    "default.talkdesk.CA1",
)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """Run an S3 server; yield a client of its bucket `calls`."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, **keys)
    client.create_bucket(Bucket="calls")
    yield client
    client.close()
    server.stop()


@pytest.fixture
def bucket(s3: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a prefix that no other test uses."""
    values = {
        "AWS_ENDPOINT": s3.meta.endpoint_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return f"s3://calls/{free_port()}"


def settings(url: str, **more: Any) -> Settings:
    return Settings(_env_file=None, url=url, **more)


@pytest.fixture(params=["directory", "s3"])
def is_directory(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "directory")


@pytest.fixture
def objects(is_directory: bool, request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    url = f"file://{tmp_path}/calls" if is_directory else request.getfixturevalue("bucket")
    return open_objects(settings(url))


def revision(call: str, *, more: bool = False, text: Text = Text.RAW) -> Any:
    made = Evidence(call, text)
    second = Story(call, "MZ2").start().end().events if more else []
    for entry in entries(whole(call) + second):
        made.add("events" if text is Text.RAW else "redacted", entry)
    return make_revision(made)


async def test_calls_are_written_found_and_deleted(objects: Objects, is_directory: bool) -> None:
    """Hostile ids included: each call has a folder of its own."""
    store, other = ArchiveStore(objects, Text.RAW), ArchiveStore(objects, Text.REDACTED)
    assert await other.write(revision("CA1", text=Text.REDACTED), 1)
    ids = IDS if is_directory else IDS[:1] + IDS[8:11]
    for call in ids:
        assert await store.write(revision(call), 1)
    assert sorted([each async for each in store.calls()]) == sorted(ids)
    for call in ids:
        found = await store.read_call(call)
        assert found
        assert (found.record.call_id, found.manifest.complete) == (call, True)
        assert (await verify(store, call)).state is State.COMPLETE
    for call in ids:
        assert await store.delete_call(call) == 5
        assert await store.delete_call(call) == 0
        assert await store.read_call(call) is None
    assert [each async for each in store.calls()] == []
    assert [each async for each in other.calls()] == ["CA1"]


async def test_second_revision_supersedes_the_first(objects: Objects) -> None:
    store = ArchiveStore(objects, Text.RAW)
    assert await store.write(revision("CA1"), (await store.revisions("CA1")).next)
    assert await store.write(revision("CA1", more=True), (await store.revisions("CA1")).next)
    found = await store.read_call("CA1")
    assert found
    assert (found.manifest.revision, len(found.record.streams)) == (2, 2)
    assert (await verify(store, "CA1")).state is State.COMPLETE
    assert await store.delete_call("CA1") == 10


async def test_every_object_is_created_once(objects: Objects) -> None:
    assert await objects.create("a/b", b"1")
    assert not await objects.create("a/b", b"2")
    assert await objects.get("a/b") == b"1"
    results = await asyncio.gather(*(objects.create("a/c", bytes([each])) for each in range(8)))
    assert sorted(results) == [False] * 7 + [True]
    assert await objects.get("a/none") is None
    assert [each async for each in objects.listing("none")] == []
    assert await objects.delete("none") == 0
    assert await objects.delete("a") == 2


async def test_two_writers_of_the_same_revision_write_the_same(objects: Objects) -> None:
    """Two workers archive a call at the same time; both succeed, with one set of files."""
    store = ArchiveStore(objects, Text.RAW)
    writes = (store.write(revision("CA1"), 1) for _ in range(3))
    assert await asyncio.gather(*writes) == [True, True, True]
    assert (await verify(store, "CA1")).state is State.COMPLETE


async def test_writer_with_other_events_is_refused(objects: Objects) -> None:
    """Of writers with different events, at most one completes a revision."""
    store = ArchiveStore(objects, Text.RAW)
    results = await asyncio.gather(
        store.write(revision("CA1"), 1), store.write(revision("CA1", more=True), 1)
    )
    assert results.count(True) == 1
    assert (await store.revisions("CA1")).next == 2
    assert (await verify(store, "CA1")).state is State.COMPLETE


@pytest.mark.parametrize("written", range(5))
async def test_revision_that_was_begun_is_completed(tmp_path: Path, written: int) -> None:
    """A worker is killed between two files; the next one has the same events."""
    objects = open_objects(settings(f"file://{tmp_path}"))
    store = ArchiveStore(objects, Text.RAW)
    files = revision("CA1").all_files(1)
    for name in list(files)[:written]:
        await objects.create(f"{store.folder('CA1')}/1/{name}", files[name])
    found = await store.revisions("CA1")
    assert (found.manifest, found.next) == (None, 1)
    assert (await verify(store, "CA1")).state is (State.DAMAGED if written else State.MISSING)
    assert await store.write(revision("CA1"), found.next)
    assert (await verify(store, "CA1")).state is State.COMPLETE


async def test_revision_that_was_begun_with_other_events_is_abandoned(tmp_path: Path) -> None:
    """A worker is killed between two files, and a stream starts after that."""
    objects = open_objects(settings(f"file://{tmp_path}"))
    store = ArchiveStore(objects, Text.RAW)
    files = revision("CA1").all_files(1)
    await objects.create(f"{store.folder('CA1')}/1/{EVENTS}", files[EVENTS])
    assert not await store.write(revision("CA1", more=True), 1)
    assert await store.write(revision("CA1", more=True), 2)
    assert (await verify(store, "CA1")).state is State.COMPLETE
    found = await store.read_call("CA1")
    assert found
    assert found.manifest.revision == 2


@pytest.mark.parametrize("name", [EVENTS, RECORD, "transcript.vtt", NAME])
async def test_damage_is_found(tmp_path: Path, name: str) -> None:
    store = ArchiveStore(open_objects(settings(f"file://{tmp_path}")), Text.RAW)
    await store.write(revision("CA1"), 1)
    path = tmp_path / store.folder("CA1") / "1" / name
    path.write_bytes(path.read_bytes()[:-20])
    verdict = await verify(store, "CA1")
    assert verdict.state is State.DAMAGED
    assert verdict.problems == [
        "revision 1: the manifest is damaged"
        if name == NAME
        else f"revision 1: {name} is not as its digest says"
    ]
    if name in (RECORD, NAME):
        with pytest.raises(ArchiveError):
            await store.read_call("CA1")


async def test_incomplete_call_is_named(tmp_path: Path) -> None:
    store = ArchiveStore(open_objects(settings(f"file://{tmp_path}")), Text.RAW)
    events = [each for each in whole() if each["n"] != "3"]
    await store.write(make_revision(evidence(events)), 1)
    verdict = await verify(store, "CA1")
    assert (verdict.state, verdict.problems) == (
        State.INCOMPLETE,
        ["stream MZ1 epoch 1: events 3 to 3 are missing"],
    )


async def test_folder_of_another_program_is_a_verdict(tmp_path: Path) -> None:
    """Symptom: the verification of all calls stopped at it."""
    store = ArchiveStore(open_objects(settings(f"file://{tmp_path}")), Text.RAW)
    (tmp_path / "raw" / "00" / "lost+found" / "x").mkdir(parents=True)
    (tmp_path / "raw" / "00" / "lost+found" / "x" / "y").touch()
    (name,) = [each async for each in store.calls()]
    verdict = await verify(store, name)
    assert (verdict.state, verdict.problems) == (State.DAMAGED, ["not a call id"])


@pytest.mark.parametrize("call", ["", "a/b", "a b", "é", "x" * 401, "a\n", "../x"])
def test_what_is_not_a_call_id_is_refused(tmp_path: Path, call: str) -> None:
    store = ArchiveStore(open_objects(settings(f"file://{tmp_path}")), Text.RAW)
    with pytest.raises(ArchiveError, match="not a call id"):
        store.folder(call)


def test_folder_is_for_the_owner_only(tmp_path: Path) -> None:
    open_objects(settings(f"file://{quote(str(tmp_path))}/a%20b"))
    assert (tmp_path / "a b").stat().st_mode & 0o777 == 0o700


async def test_deletion_leaves_neither_folder_nor_unfinished_file(tmp_path: Path) -> None:
    """A folder's name is the call's id; a writer that is killed leaves a file that no list has."""
    store = ArchiveStore(open_objects(settings(f"file://{tmp_path}")), Text.RAW)
    await store.write(revision("CA1"), 1)
    folder = tmp_path / store.folder("CA1")
    (folder / "1" / "call.json#1").write_bytes(b"canary")
    assert (await verify(store, "CA1")).state is State.COMPLETE
    assert await store.delete_call("CA1") == 5
    assert not folder.exists()
    folder.mkdir(parents=True)
    (folder / "call.json#1").write_bytes(b"canary")
    assert await store.delete_call("CA1") == 0
    assert list(tmp_path.rglob("*CA1*")) == []  # noqa: ASYNC240 - a small folder


async def test_objects_are_encrypted_as_the_settings_say(s3: Any, bucket: str) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/k1"
    for name, more, expected in (
        ("a", {"encryption": "AES256"}, ("AES256", None)),
        ("b", {"encryption": "aws:kms", "kms_key": key}, ("aws:kms", key)),
    ):
        store = ArchiveStore(open_objects(settings(f"{bucket}/{name}", **more)), Text.RAW)
        await store.write(revision("CA1"), 1)
        prefix = f"{bucket.removeprefix('s3://calls/')}/{name}/"
        listed = s3.list_objects_v2(Bucket="calls", Prefix=prefix)["Contents"]
        assert len(listed) == 5
        for each in listed:
            head = s3.head_object(Bucket="calls", Key=each["Key"])
            assert (head["ServerSideEncryption"], head.get("SSEKMSKeyId")) == expected


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"url": "calls"}, "must be file:///folder"),
        ({"url": "ftp://h/x"}, "must be file:///folder"),
        ({"url": "s3://"}, "must be file:///folder"),
        ({"url": "s3://key:secret@bucket/x"}, "without credentials"),
        ({"url": "s3://b/x?token=secret"}, "without credentials"),
        ({"url": "file:///x", "encryption": "AES256"}, "needs an s3:// URL"),
        ({"url": "s3://b", "kms_key": "k"}, "needs WORKER_ARCHIVE_ENCRYPTION=aws:kms"),
        ({"url": "s3://b", "encryption": "rot13"}, "AES256"),
    ],
)
def test_invalid_settings_are_refused(values: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        Settings(_env_file=None, **values)


@pytest.mark.parametrize(
    "url", ["s3://bucket/a", "gs://bucket", "az://container/a", "file:///var/calls"]
)
def test_urls_of_all_stores_are_valid(url: str) -> None:
    assert settings(f"{url}/").url == url


async def test_failures_of_the_store_have_a_reason(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = open_objects(settings("s3://none/x"))
    with pytest.raises(StoreError, match="no-bucket"):
        await absent.create("a", b"")
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError, match="unavailable"):
        await open_objects(settings(bucket)).create("a", b"")
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StoreError, match="unavailable"):
        open_objects(settings(f"file://{blocked}/x"))
    with socket.create_server(("127.0.0.1", 0)) as stuck:  # accepts requests and never replies
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{stuck.getsockname()[1]}")
        stuck_store = open_objects(settings(bucket), timeout_s=0.1)
        for operation in (stuck_store.create("a", b""), stuck_store.get("a")):
            with pytest.raises(StoreError, match="timeout"):
                await operation
