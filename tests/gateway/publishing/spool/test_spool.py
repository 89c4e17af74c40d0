"""The spool: compared with a plain queue, on a full or broken disk, and after crashes."""

import errno
import fcntl
import hashlib
import os
import resource
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from gateway.publishing.spool.spool import Record, Spool

_PLENTY = 1 << 30


class Opened:
    """A spool and the errors that it reported."""

    def __init__(self, parent: Path, max_bytes: int = _PLENTY, segment_bytes: int = 200) -> None:
        self.errors: list[str] = []
        self.now_s = 0.0
        self.spool = Spool(
            parent,
            "here",
            max_bytes,
            self.errors.append,
            segment_bytes,
            clock=lambda: self.now_s,
        )
        self.spool.adopt()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path)
    yield opened
    opened.spool.close()


def folder_of(parent: Path) -> Path:
    digest = hashlib.sha256(b"here").hexdigest()
    return parent / f"callscribe-{os.geteuid()}-{digest[:8]}"


def files(parent: Path, suffix: str = "spool") -> list[Path]:
    return sorted(folder_of(parent).glob(f"*.{suffix}"))


def put(spool: Spool, *names: str) -> bool:
    accepted = [spool.append(name.encode(), b"p" + name.encode(), 2) for name in names]
    return all(accepted)


def names(records: list[Record]) -> list[str]:
    return [record.stream_header.decode() for record in records]


def drain(spool: Spool) -> list[str]:
    """Read and acknowledge everything."""
    found: list[str] = []
    while records := spool.read(7):
        found += names(records)
        for record in records:
            assert record.payload == b"p" + record.stream_header
            assert record.events == 2
            spool.acknowledge(record)
    return found


def test_no_file_exists_before_the_first_batch_and_after_the_last(
    opened: Opened, tmp_path: Path
) -> None:
    assert list(tmp_path.iterdir()) == []
    assert put(opened.spool, *(str(n) for n in range(100)))
    assert len(files(tmp_path)) > 5
    assert opened.spool.bytes == sum(path.stat().st_size for path in files(tmp_path))
    assert drain(opened.spool) == [str(n) for n in range(100)]
    assert (files(tmp_path), opened.spool.bytes) == ([], 0)
    opened.spool.close()
    assert files(tmp_path, "lock") == []
    assert opened.errors == []


def test_segments_are_deleted_as_their_records_are_acknowledged(
    opened: Opened, tmp_path: Path
) -> None:
    put(opened.spool, *(str(n) for n in range(100)))
    before = len(files(tmp_path))
    for record in opened.spool.read(50):
        opened.spool.acknowledge(record)
    assert before / 3 < len(files(tmp_path)) < before / 1.5


def test_files_are_accessible_only_to_their_owner(opened: Opened, tmp_path: Path) -> None:
    folder_of(tmp_path).mkdir(mode=0o755)
    put(opened.spool, "a")
    assert stat.S_IMODE(folder_of(tmp_path).stat().st_mode) == 0o700
    for path in (*files(tmp_path), *files(tmp_path, "lock")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_symlink_in_place_of_the_folder_is_refused(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder_of(tmp_path).symlink_to(tmp_path / "elsewhere")
    assert not put(opened.spool, "a")
    assert opened.errors == ["spool-failed"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_full_spool_accepts_no_batch_until_there_is_room(tmp_path: Path) -> None:
    full = Opened(tmp_path, max_bytes=1000, segment_bytes=200)
    accepted = 0
    while put(full.spool, "x" * 20):
        accepted += 1
    assert full.errors == ["spool-full"]
    assert full.spool.bytes <= 1000
    assert len(drain(full.spool)) == accepted
    assert put(full.spool, "y")
    assert drain(full.spool) == ["y"]
    full.spool.close()


def test_full_disk_is_logged_once_and_damages_no_other_record(
    opened: Opened, tmp_path: Path
) -> None:
    put(opened.spool, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # a write fails within a record
    try:
        with capture_logs() as logs:
            assert not put(opened.spool, "secret" * 50)
            assert not put(opened.spool, "secret" * 50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert opened.errors == ["spool-failed"] * 2
    assert [line["code"] for line in logs] == ["EFBIG"]
    assert opened.spool.bytes == sum(path.stat().st_size for path in files(tmp_path))
    assert "secret" not in str(logs)
    opened.now_s += 1
    assert put(opened.spool, "after")
    assert drain(opened.spool) == ["before", "after"]
    assert files(tmp_path) == []


def test_reading_without_a_free_descriptor_loses_nothing(opened: Opened, tmp_path: Path) -> None:
    """Symptom: one failed open() deleted every segment."""
    put(opened.spool, *(str(n) for n in range(100)))
    before = len(files(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with capture_logs():
            assert opened.spool.read(7) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert opened.errors == ["spool-failed"]
    assert len(files(tmp_path)) == before
    assert drain(opened.spool) == [str(n) for n in range(100)]


def test_full_disk_leaves_no_empty_files_and_is_retried_after_a_pause(
    opened: Opened, tmp_path: Path
) -> None:
    """Symptom: each event left another empty file."""
    put(opened.spool, "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with capture_logs():
            for _ in range(50):
                opened.now_s += 0.5
                assert not put(opened.spool, "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(files(tmp_path)) == 1
    opened.now_s += 0.4
    assert not put(opened.spool, "c"), "retried only after a pause of 1 s"
    opened.now_s += 0.6
    assert put(opened.spool, "d")
    assert drain(opened.spool) == ["a", "d"]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_file_system_without_locks_leaks_no_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: each event left an open descriptor and a file."""

    def no_locks(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    left = Opened(tmp_path)
    put(left.spool, "a")
    left.spool.close()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    before = open_descriptors()
    with capture_logs():
        opened = Opened(tmp_path)
        for _ in range(20):
            opened.now_s += 1
            assert not put(opened.spool, "a")
    assert open_descriptors() == before
    assert len(files(tmp_path, "lock")) == 1


def test_unwritable_folder_is_reported_at_the_start(tmp_path: Path) -> None:
    """Symptom: it was reported only in the first outage."""
    (tmp_path / "file").touch()
    with capture_logs() as logs:
        opened = Opened(tmp_path / "file")
        opened.spool.probe()
    assert [line["event"] for line in logs] == ["spool-failed"]
    assert set(opened.errors) == {"spool-failed"}


def test_error_of_close_is_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Symptom: after an error of close(), as of NFS or a quota, every publish raised."""
    opened = Opened(tmp_path)
    close = os.close

    def delayed_error(fd: int) -> None:
        close(fd)
        raise OSError(errno.EDQUOT, "quota")

    expected = [str(n) for n in range(100)]
    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(os, "close", delayed_error)
        assert put(opened.spool, *expected)
    assert drain(opened.spool) == expected
    opened.spool.close()


def test_deleted_folder_is_created_again(opened: Opened, tmp_path: Path) -> None:
    """Symptom: after a cleaner of /tmp had deleted the folder, the process had no spool."""
    put(opened.spool, "a")
    assert drain(opened.spool) == ["a"]
    for path in folder_of(tmp_path).iterdir():
        path.unlink()
    folder_of(tmp_path).rmdir()
    assert put(opened.spool, "b")
    assert drain(opened.spool) == ["b"]


# Adoption by later processes


def test_segments_written_after_their_lock_was_deleted_are_adopted(tmp_path: Path) -> None:
    """Symptom: files without a lock were never adopted and never deleted."""
    left = Opened(tmp_path)
    put(left.spool, "a")
    assert drain(left.spool) == ["a"]
    for path in files(tmp_path, "lock"):
        path.unlink()
    put(left.spool, "b")
    left.spool.close()
    successor = Opened(tmp_path)
    assert drain(successor.spool) == ["b"]
    successor.spool.close()


def test_segments_older_than_the_retention_are_deleted_and_counted(tmp_path: Path) -> None:
    """Symptom: they were written twice: Redis no longer had the record of the first write."""
    left = Opened(tmp_path)
    put(left.spool, *"abcdefghijklmnop")
    left.spool.close()
    first, *rest = files(tmp_path)
    os.utime(first, (0, time.time() - 90_000))
    with capture_logs():
        successor = Opened(tmp_path)
    assert successor.errors == ["spool-expired"]
    assert files(tmp_path) == rest
    assert successor.spool.bytes == sum(path.stat().st_size for path in rest)
    assert "".join(drain(successor.spool)) == "lmnop"
    successor.spool.close()
    assert list(folder_of(tmp_path).iterdir()) == []


def test_lock_that_cannot_be_opened_stops_no_other_adoption(tmp_path: Path) -> None:
    left = [Opened(tmp_path), Opened(tmp_path)]
    for each, name in zip(left, "ab", strict=True):
        put(each.spool, name)
        each.spool.close()
    lock = files(tmp_path, "lock")[0]
    lock.unlink()
    lock.symlink_to(lock)
    with capture_logs():
        successor = Opened(tmp_path)
    assert drain(successor.spool) == ["b"]
    assert successor.errors == ["spool-failed"]
    successor.spool.close()


def test_adopted_records_are_read_before_new_ones(tmp_path: Path) -> None:
    left = Opened(tmp_path)
    put(left.spool, *"abcdefghij")
    left.spool.acknowledge(left.spool.read(1)[0])
    left.spool.close()
    successor = Opened(tmp_path)
    put(successor.spool, "k")
    found = drain(successor.spool)
    assert "".join(found).endswith("bcdefghijk"), "a may be read again; the script skips it"
    successor.spool.close()
    assert list(folder_of(tmp_path).iterdir()) == []


def test_segments_for_another_destination_are_not_adopted(tmp_path: Path) -> None:
    left = Opened(tmp_path)
    put(left.spool, "a")
    left.spool.close()
    other = Spool(tmp_path, "elsewhere", _PLENTY, left.errors.append)
    other.adopt()
    assert not other.has_unread
    assert put(other, "b")
    assert drain(other) == ["b"]
    other.close()
    assert drain(Opened(tmp_path).spool) == ["a"]


def test_segments_of_a_running_process_are_not_adopted(tmp_path: Path) -> None:
    first, second = Opened(tmp_path), Opened(tmp_path)
    put(first.spool, "a")
    third = Opened(tmp_path)
    assert drain(second.spool) == drain(third.spool) == []
    assert drain(first.spool) == ["a"]
    for each in (first, second, third):
        each.spool.close()


def test_records_of_a_killed_process_are_adopted(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gateway.publishing.spool.spool import *\n"
        "spool = Spool(Path(sys.argv[1]), 'here', 1 << 30, print)\n"
        "for n in range(50): spool.append(b'%d' % n, b'p%d' % n, 2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)  # noqa: S603
    assert killed.returncode == -9
    successor = Opened(tmp_path)
    assert drain(successor.spool) == [str(n) for n in range(50)]
    successor.spool.close()
    assert list(folder_of(tmp_path).iterdir()) == []


@given(st.integers(0, 400), st.one_of(st.none(), st.integers(0, 255)))
def test_torn_or_damaged_record_ends_only_its_segment(at: int, byte: int | None) -> None:
    """If `byte` is None, the file is cut there; otherwise that byte is overwritten."""
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        left = Opened(parent, segment_bytes=200)
        put(left.spool, *(f"{n:010d}" for n in range(20)))
        left.spool.close()
        first, *_ = files(parent)
        whole = first.read_bytes()
        at = min(at, len(whole) - 1)
        first.write_bytes(whole[:at] + (b"" if byte is None else bytes([byte]) + whole[at + 1 :]))
        is_damaged = first.read_bytes() != whole
        successor = Opened(parent)
        with capture_logs():
            found = [int(each) for each in drain(successor.spool)]
        successor.spool.close()
        record_bytes = 16 + 10 + 11
        in_first = len(whole) // record_bytes
        kept = at // record_bytes if is_damaged else in_first
        assert found == [*range(kept), *range(in_first, 20)]
        is_cut_between_records = byte is None and at % record_bytes == 0
        assert successor.errors == (
            ["spool-failed"] if is_damaged and not is_cut_between_records else []
        )
        assert list(folder_of(parent).iterdir()) == []


class SpoolModel(RuleBasedStateMachine):
    """Appends, reads, acknowledges and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.parent = tempfile.TemporaryDirectory()
        self.opened = Opened(Path(self.parent.name), segment_bytes=150)
        self.appended = 0
        self.starts = 0
        self.expected: list[str] = []  # not read yet
        self.read_records: list[Record] = []
        self.unacknowledged: set[str] = set()

    @rule(count=st.integers(1, 9), size=st.integers(0, 300))
    def append(self, count: int, size: int) -> None:
        for _ in range(count):
            self.appended += 1
            name = f"{self.starts}:{self.appended}:{'x' * size}"
            assert put(self.opened.spool, name)
            self.expected.append(name)
            self.unacknowledged.add(name)

    @rule(limit=st.integers(1, 9))
    def read(self, limit: int) -> None:
        records = self.opened.spool.read(limit)
        assert names(records) == self.expected[: len(records)]
        assert len(records) <= limit
        assert records or not self.expected
        del self.expected[: len(records)]
        self.read_records += records

    @precondition(lambda self: self.read_records)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        record = self.read_records.pop(data.draw(st.integers(0, len(self.read_records) - 1)))
        self.opened.spool.acknowledge(record)
        self.unacknowledged.remove(record.stream_header.decode())

    @rule()
    def restart(self) -> None:
        """Unacknowledged records are read again, in the order of their process; others may be."""
        self.opened.spool.close()
        self.opened = Opened(Path(self.parent.name), segment_bytes=150)
        again: list[Record] = []
        while records := self.opened.spool.read(5):
            again += records
        found = names(again)
        for start in range(self.starts + 1):
            order = [int(name.split(":")[1]) for name in found if name.startswith(f"{start}:")]
            assert order == sorted(set(order))
        self.starts += 1
        assert self.unacknowledged <= set(found)
        assert len(found) == len(set(found))
        self.expected, self.read_records, self.unacknowledged = [], again, set(found)

    @invariant()
    def size_and_unread_records_match_the_disk(self) -> None:
        on_disk = sum(path.stat().st_size for path in files(Path(self.parent.name)))
        assert self.opened.spool.bytes == on_disk
        assert self.opened.spool.has_unread == bool(self.expected)

    def teardown(self) -> None:
        for record in self.read_records:
            self.opened.spool.acknowledge(record)
        drain(self.opened.spool)
        assert files(Path(self.parent.name)) == []
        assert self.opened.errors == []
        self.opened.spool.close()
        self.parent.cleanup()


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=40, stateful_step_count=30)
