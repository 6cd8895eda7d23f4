"""The object store, on a real S3 server: written bytes are hashed, fetched ones verified, broken ones leave nothing."""

import hashlib
import io
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from minio import Minio

from infra.settings import MIB, Settings
from infra.storage import Corrupt, NotThere, Storage, Unavailable, output_key, upload_key
from tests.system import until

JOB = UUID("0197a000-0000-7000-8000-000000000001")


@pytest.fixture
def storage(settings: Settings) -> Storage:
    store = Storage(settings)
    store.ensure_bucket()
    return store


def raw(settings: Settings) -> Minio:
    """The client itself, to look at the bucket behind the back of the code under test."""
    return Minio(
        settings.s3_endpoint.removeprefix("http://"),
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        region=settings.s3_region,
        secure=False,
    )


def read(storage: Storage, key: str, offset: int = 0, length: int | None = None) -> bytes:
    with storage.open(key, offset, length) as chunks:
        return b"".join(chunks)


def pattern(size: int) -> bytes:
    """Bytes in which every offset can be told from its neighbours."""
    block = b"".join(n.to_bytes(4, "big") for n in range(65536))
    return (block * (size // len(block) + 1))[:size]


class Pieces:
    """A stream that arrives in uneven pieces, and may break."""

    def __init__(self, data: bytes, piece: int, breaks_at: int | None = None) -> None:
        self._data = io.BytesIO(data)
        self._piece = piece
        self._breaks_at = breaks_at

    def read(self, size: int, /) -> bytes:
        if self._breaks_at is not None and self._data.tell() >= self._breaks_at:
            raise ConnectionResetError("the client went away")
        return self._data.read(min(size, self._piece))


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 17 * MIB + 3])
def test_a_stream_of_any_length_is_written_whole_and_hashed(storage: Storage, size: int) -> None:
    data = pattern(size)
    stored = storage.put_stream("uploads/a", Pieces(data, 100_003), "video/mp4")
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.sha1 == hashlib.sha1(data).hexdigest()
    assert stored.size == size
    assert read(storage, "uploads/a") == data


def test_a_file_and_bytes_are_written_with_their_hashes(storage: Storage, tmp_path: Path) -> None:
    data = pattern(9 * MIB)
    (tmp_path / "f").write_bytes(data)
    by_path = storage.put_file("uploads/f", tmp_path / "f", "video/mp4")
    by_bytes = storage.put_bytes("uploads/b", data, "video/mp4")
    assert by_path.sha256 == by_bytes.sha256 == hashlib.sha256(data).hexdigest()
    assert by_path.size == by_bytes.size == len(data)
    assert read(storage, "uploads/f") == data


@pytest.mark.row("S1-01")
def test_a_stream_that_breaks_leaves_neither_an_object_nor_parts(storage: Storage, settings: Settings) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(ConnectionResetError):
        storage.put_stream("uploads/broken", Pieces(pattern(30 * MIB), MIB, breaks_at=20 * MIB), "video/mp4")
    with pytest.raises(NotThere):
        storage.open("uploads/broken")
    uploads = raw(settings)._list_multipart_uploads(settings.s3_bucket)
    assert not uploads.uploads
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (5, 10), (300_000, 300_000), (999_999, 1), (0, None)])
def test_a_range_is_exactly_the_bytes_asked_for(storage: Storage, offset: int, length: int | None) -> None:
    data = pattern(1_000_000)
    storage.put_bytes("uploads/r", data, "application/octet-stream")
    assert read(storage, "uploads/r", offset, length) == data[offset : None if length is None else offset + length]


def test_an_empty_range_and_an_empty_object_are_empty(storage: Storage) -> None:
    storage.put_bytes("uploads/r", b"abc", "text/plain")
    storage.put_bytes("uploads/e", b"", "text/plain")
    assert read(storage, "uploads/r", 1, 0) == b""
    assert read(storage, "uploads/e") == b""


def test_fetched_bytes_are_verified_and_wrong_ones_leave_no_file(storage: Storage, tmp_path: Path) -> None:
    stored = storage.put_bytes("uploads/x", b"right", "text/plain")
    storage.fetch("uploads/x", tmp_path / "x", stored.sha256)
    assert (tmp_path / "x").read_bytes() == b"right"
    storage.put_bytes("uploads/x", b"wrong", "text/plain")
    with pytest.raises(Corrupt):
        storage.fetch("uploads/x", tmp_path / "y", stored.sha256)
    assert not (tmp_path / "y").exists()


def test_a_missing_object_is_not_there(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NotThere):
        storage.open("uploads/none")
    with pytest.raises(NotThere):
        storage.fetch("uploads/none", tmp_path / "z", "0" * 64)


def test_keys_are_listed_by_prefix_and_age_and_removed(storage: Storage) -> None:
    for name in ("uploads/1", "uploads/2", "jobs/j/1/a"):
        storage.put_bytes(name, b"x", "text/plain")
    assert sorted(storage.keys("uploads/", -60)) == ["uploads/1", "uploads/2"]
    assert list(storage.keys("uploads/", 3600)) == []
    assert storage.remove(["uploads/1", "uploads/never-was"]) == set()
    assert list(storage.keys("", -60)) == ["jobs/j/1/a", "uploads/2"]


def test_what_the_store_refuses_to_remove_is_named_and_the_rest_is_removed(storage: Storage) -> None:
    for name in ("uploads/1", "uploads/2"):
        storage.put_bytes(name, b"x", "text/plain")
    refused = "uploads/../outside"
    assert storage.remove(["uploads/1", refused, "uploads/2"]) == {refused}
    assert list(storage.keys("", -60)) == []


def test_many_threads_share_one_storage(storage: Storage) -> None:
    def round_trip(number: int) -> bool:
        data = str(number).encode() * 1000
        storage.put_bytes(f"uploads/t{number}", data, "text/plain")
        return read(storage, f"uploads/t{number}") == data

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(round_trip, range(60)))


def test_a_connection_that_was_left_half_read_is_not_used_again(storage: Storage) -> None:
    storage.put_bytes("uploads/big", pattern(4 * MIB), "text/plain")
    for _ in range(20):
        with storage.open("uploads/big") as chunks:
            assert next(iter(chunks))
    assert read(storage, "uploads/big", 4 * MIB - 4) == pattern(4 * MIB)[-4:]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nothing listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def other(settings: Settings, **fields: str) -> Storage:
    return Storage(Settings.model_validate(settings.model_dump() | fields))


def test_a_store_that_is_away_or_refuses_is_unavailable(settings: Settings, nobody: str) -> None:
    for wrong in (other(settings, s3_endpoint=nobody), other(settings, s3_secret_key="not-the-secret")):
        assert not wrong.ready()
        with pytest.raises(Unavailable):
            wrong.put_bytes("uploads/a", b"", "text/plain")


def test_a_missing_bucket_is_not_ready(settings: Settings) -> None:
    assert not other(settings, s3_bucket="no-such-bucket").ready()


def test_a_store_that_answers_is_ready(storage: Storage) -> None:
    until(storage.ready, "it has answered in time")


def test_keys_come_from_ids_and_plain_names_only() -> None:
    assert output_key(JOB, 7, "tasks/task-0000.mp4") == f"jobs/{JOB}/7/tasks/task-0000.mp4"
    assert upload_key() != upload_key()
    for name in ("../x", "/x", "a//b", "a/", "", ".hidden", "a b", "a\\b", "a\n", "ü", "x" * 200, "a/../b", "a/.."):
        with pytest.raises(ValueError, match="artifact's name"):
            output_key(JOB, 7, name)
