"""The bucket of a test, seen and touched behind the back of the code under test."""

import io

from minio import Minio

PART = 5 * 1024 * 1024


class Bucket:
    """Objects by key, and uploads in parts that are neither finished nor aborted."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._name = environment["REELMILL_S3_BUCKET"]
        self._client = Minio(
            environment["REELMILL_S3_ENDPOINT"].removeprefix("http://"),
            access_key=environment["REELMILL_S3_ACCESS_KEY"],
            secret_key=environment["REELMILL_S3_SECRET_KEY"],
            secure=False,
        )

    def make(self) -> None:
        """Make the bucket itself, unless it is there."""
        if not self._client.bucket_exists(self._name):
            self._client.make_bucket(self._name)

    def unmake(self) -> None:
        """Remove the bucket itself, which is empty."""
        self._client.remove_bucket(self._name)

    def keys(self) -> list[str]:
        """Every key."""
        return [str(found.object_name) for found in self._client.list_objects(self._name, recursive=True)]

    def pending(self) -> int:
        """How many uploads in parts are under way."""
        return len(self._client._list_multipart_uploads(self._name).uploads)

    def pending_keys(self) -> set[str]:
        """What is being uploaded in parts."""
        return {str(found.object_name) for found in self._client._list_multipart_uploads(self._name).uploads}

    def begin(self, key: str) -> None:
        """Begin an upload in parts and leave it after its first part, as a killed process does."""
        upload = self._client._create_multipart_upload(self._name, key, {})
        self._client._upload_part(self._name, key, b"x" * PART, {}, upload, 1)

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        answer = self._client.get_object(self._name, key)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def put(self, key: str, content: bytes) -> None:
        """Write, or overwrite, an object."""
        self._client.put_object(self._name, key, io.BytesIO(content), len(content))

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._client.remove_object(self._name, key)
