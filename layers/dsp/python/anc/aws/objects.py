"""Files in S3."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from anc.aws import clients

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class S3Objects:
    """`anc.ports.Objects` on a bucket, which encrypts and expires by its own rules.

    The role that reads needs `s3:ListBucket` too: without it S3 answers 403, not 404, when a file is absent.
    """

    def __init__(self, bucket: str, client: "Callable[[], S3Client]" = clients.s3) -> None:
        self._bucket = bucket
        self._client = client

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self._client().put_object(Bucket=self._bucket, Key=key, Body=data)

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        client = self._client()
        try:
            return client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None

    def delete(self, key: str) -> None:
        """See `Objects.delete`."""
        self._client().delete_object(Bucket=self._bucket, Key=key)
