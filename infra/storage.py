"""The object store, behind its only importer of the minio client. Any S3-compatible server will do.

Everything that is written is hashed on the way, everything that is fetched is verified. Keys are made from ids that
the server itself gave out; a caller's text becomes part of one only through `OUTPUT_NAME`.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Upload
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from infra.ids import new_id
from infra.objects import CHUNK, Hashing, Readable, Stored
from infra.settings import Settings

OUTPUT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,7}")
GONE = frozenset({"NoSuchKey", "NoSuchObject"})
OURS_ALREADY = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class NotThere(Exception):
    """No object has this key."""


class Unavailable(Exception):
    """The store does not answer, or refuses for a reason of its own: try again later."""


class Corrupt(Exception):
    """The stored bytes are not the ones that were written."""


def upload_key() -> str:
    """A fresh key for a file that is being uploaded."""
    return f"uploads/{new_id()}"


def transfer_key(transfer: UUID) -> str:
    """The key that a caller writes to by himself."""
    return f"transfers/{transfer}"


def output_key(job_id: UUID, token: int, name: str) -> str:
    """The key of an output under one claim. Raises ValueError for a name that is not plain segments."""
    if OUTPUT_NAME.fullmatch(name) is None:
        raise ValueError("an artifact's name is made of segments of letters, digits, '.', '_' and '-'")
    return f"jobs/{job_id}/{token}/{name}"


class Reading:
    """An open object: iterate for chunks of bytes, and leave the `with` block to give the connection back."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._response.stream(CHUNK)

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        with _translated():
            return bytes(self._response.read(size))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back, or drop it when the object was not read to its end. Safe to call twice."""
        self._response.close()
        self._response.release_conn()


class Storage:
    """One bucket. Safe to use from many threads."""

    def __init__(self, settings: Settings, connections: int = 16) -> None:
        self._bucket = settings.s3_bucket
        self._part_size = settings.part_size
        self._region = settings.s3_region
        self._client = _client(settings, connections, seconds=60, retries=3)
        # Signs addresses for others, who may know the store by another name than we do. It asks nobody.
        self._signer = _client(settings, 1, seconds=2, retries=0, endpoint=settings.s3_public_endpoint)
        self._probe = _client(settings, 1, seconds=2, retries=0)

    def ensure_bucket(self) -> None:
        """Make the bucket when it is missing; safe to call from several processes at once."""
        with _translated():
            if not self._client.bucket_exists(self._bucket):
                try:
                    self._client.make_bucket(self._bucket, self._region)
                except S3Error as error:
                    if error.code not in OURS_ALREADY:
                        raise

    def ready(self) -> bool:
        """Whether the bucket answers within two seconds."""
        try:
            with _translated():
                return bool(self._probe.bucket_exists(self._bucket))
        except Unavailable:
            return False

    def put_bytes(self, key: str, data: bytes, content_type: str) -> Stored:
        """Write a small object in one request."""
        return self._put(key, io.BytesIO(data), len(data), content_type)

    def put_file(self, key: str, path: Path, content_type: str) -> Stored:
        """Write a file. Raises OSError when it changes size meanwhile."""
        with path.open("rb") as source:
            return self._put(key, source, path.stat().st_size, content_type)

    def put_stream(self, key: str, source: Readable, content_type: str) -> Stored:
        """Write a stream of unknown length in parts; memory stays at a few parts.

        Whatever `source.read` raises comes through as it is, and no part of the object stays behind.
        """
        return self._put(key, source, -1, content_type)

    def open(self, key: str, offset: int = 0, length: int | None = None) -> Reading:
        """Open an object, or `length` bytes of it from `offset`. Raises NotThere."""
        if length == 0:
            return Reading(urllib3.HTTPResponse(io.BytesIO(b""), preload_content=False))
        with _translated():
            return Reading(self._client.get_object(self._bucket, key, offset=offset, length=length or 0))

    def address(self, key: str, seconds: float, disposition: str | None = None, content_type: str | None = None) -> str:
        """An address at the store that gives one object to anybody who has it, for so long."""
        told: dict[str, Any] = {"response-content-disposition": disposition, "response-content-type": content_type}
        said = {name: value for name, value in told.items() if value is not None}
        lifetime = timedelta(seconds=seconds)
        with _translated():
            return str(self._signer.presigned_get_object(self._bucket, key, lifetime, response_headers=said))

    def entrance(self, key: str, seconds: float) -> str:
        """An address at the store where anybody who has it may write one object, for so long."""
        with _translated():
            return str(self._signer.presigned_put_object(self._bucket, key, expires=timedelta(seconds=seconds)))

    def size(self, key: str) -> int:
        """Bytes of an object. Raises NotThere."""
        with _translated():
            return int(self._client.stat_object(self._bucket, key).size or 0)

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the store. Raises NotThere."""
        with _translated():
            self._client.copy_object(self._bucket, to, CopySource(self._bucket, key))

    def fetch(self, key: str, path: Path, sha256: str) -> None:
        """Copy an object into a file. Raises Corrupt, and leaves no file, when the bytes are not those of `sha256`."""
        digest = hashlib.sha256()
        try:
            with self.open(key) as chunks, path.open("wb") as target:
                for chunk in chunks:
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != sha256:
                raise Corrupt(f"{key} holds other bytes than its row says")
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def read(self, key: str, sha256: str) -> bytes:
        """A small object whole. Raises Corrupt when the bytes are not those of `sha256`."""
        with self.open(key) as chunks:
            data = b"".join(chunks)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Corrupt(f"{key} holds other bytes than its row says")
        return data

    def remove(self, keys: Iterable[str]) -> set[str]:
        """Remove objects, a thousand per request; returns the keys of those that the store refused to remove.

        One that is not there counts as removed. Raises Unavailable when the store says nothing about each.
        """
        with _translated():
            errors = self._client.remove_objects(self._bucket, [DeleteObject(key) for key in keys])
            failed = [error for error in errors if error.code not in GONE]
        if any(error.name is None for error in failed):
            raise Unavailable(f"{len(failed)} objects were not removed: {failed[0].code}")
        return {str(error.name) for error in failed}

    def keys(self, prefix: str, older_than_seconds: float) -> Iterator[str]:
        """Keys under a prefix whose objects are older than an age, by the store's clock against ours."""
        limit = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        with _translated():
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                if found.last_modified is not None and found.last_modified < limit:
                    yield str(found.object_name)

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of every object under a prefix, by key."""
        with _translated():
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                if not found.is_dir:
                    yield str(found.object_name), found.size or 0

    def abort_transfers(self, prefix: str, older_than_seconds: float) -> tuple[int, int]:
        """Abort the transfers in parts under a prefix that are older than an age: their parts are in no listing.

        Returns how many are over, and how many the store refused to abort.
        """
        limit = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        with _translated():
            over = [
                self._abort(found)
                for found in self._transfers(prefix)
                if found.initiated_time is not None and found.initiated_time < limit
            ]
        return over.count(True), over.count(False)

    def _transfers(self, prefix: str) -> Iterator[Upload]:
        # The client offers these calls of the S3 API under private names only.
        key = upload = None
        while True:
            page = self._client._list_multipart_uploads(
                self._bucket, prefix=prefix, key_marker=key, upload_id_marker=upload
            )
            yield from page.uploads
            key, upload = page.next_key_marker, page.next_upload_id_marker
            if not page.is_truncated or not key:  # some stores do not say how to go on
                return

    def _abort(self, transfer: Upload) -> bool:
        try:
            self._client._abort_multipart_upload(self._bucket, transfer.object_name, str(transfer.upload_id))
        except S3Error as error:
            return error.code == "NoSuchUpload"  # it ended meanwhile, one way or the other
        return True

    def _put(self, key: str, source: Readable, size: int, content_type: str) -> Stored:
        # One part at a time: the client's own pool leaves its threads behind when a stream breaks.
        hashing = Hashing(source)
        with _translated():
            self._client.put_object(
                self._bucket,
                key,
                hashing,  # type: ignore[arg-type]  # only read() is called
                size,
                content_type=content_type,
                part_size=self._part_size,
                num_parallel_uploads=1,
            )
        return hashing.stored(key)


def _client(settings: Settings, connections: int, seconds: float, retries: int, endpoint: str | None = None) -> Minio:
    address = urlsplit(endpoint or settings.s3_endpoint)
    return Minio(
        address.netloc,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        region=settings.s3_region,
        secure=address.scheme == "https",
        http_client=urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=min(seconds, 5), read=seconds),
            retries=urllib3.Retry(retries, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        ),
    )


@contextmanager
def _translated() -> Iterator[None]:
    """The client's errors as ours; errors of a stream's source are not its and pass."""
    try:
        yield
    except S3Error as error:
        if error.code in GONE:
            raise NotThere(error.resource) from None
        raise Unavailable(f"the object store refused: {error.code}") from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"the object store does not answer: {type(error).__name__}") from error
