"""Store files in S3."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

from botocore.exceptions import ClientError

from anc.aws import clients, faults
from anc.ports import ObjectChanged, ObjectInfo

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

READ_AHEAD_BYTES = 4 * 1024 * 1024  # per ranged read; a request takes as long as the transfer of about 1 MB
NOT_FOUND_CODES = ("404", "NoSuchKey", "NoSuchUpload")
CHANGED_CODES = ("412", "PreconditionFailed", *NOT_FOUND_CODES)


class S3Objects:
    """`anc.ports.Objects` on a bucket. Encryption and expiry are configured on the bucket.

    The role that reads also needs `s3:ListBucket`; without it S3 returns 403 instead of 404 for an absent
    file. A link permits no more than the role that signed it.
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
            with faults.reading(key):
                return client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None

    def delete(self, key: str) -> None:
        """See `Objects.delete`."""
        self._client().delete_object(Bucket=self._bucket, Key=key)

    def info(self, key: str) -> ObjectInfo | None:
        """See `Objects.info`."""
        try:
            head = self._client().head_object(Bucket=self._bucket, Key=key)
        except ClientError as fault:
            if _code(fault) in NOT_FOUND_CODES:
                return None
            raise
        return ObjectInfo(head["ContentLength"], head["ETag"])

    def open(self, key: str, etag: str) -> BinaryIO:
        """See `Objects.open`."""
        known = self.info(key)
        if known is None or known.etag != etag:
            raise ObjectChanged(f"{key}: the file was replaced or deleted")
        ranges = _RangeReader(self._client(), self._bucket, key, known)
        return cast(BinaryIO, io.BufferedReader(ranges, READ_AHEAD_BYTES))

    def begin(self, key: str) -> str:
        """See `Objects.begin`."""
        return self._client().create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def put_part(self, key: str, parts: str, number: int, data: bytes) -> None:
        """See `Objects.put_part`."""
        client = self._client()
        try:
            client.upload_part(Bucket=self._bucket, Key=key, UploadId=parts, PartNumber=number, Body=data)
        except ClientError as fault:
            if _code(fault) in NOT_FOUND_CODES:
                raise LookupError(f"{key}: no upload in parts with this id") from fault
            raise

    def stored_parts(self, key: str, parts: str) -> Sequence[int]:
        """See `Objects.stored_parts`."""
        try:
            return [part["PartNumber"] for part in self._stored_parts(key, parts)]
        except ClientError as fault:
            if _code(fault) in NOT_FOUND_CODES:
                return []
            raise

    def finish(self, key: str, parts: str) -> None:
        """See `Objects.finish`."""
        try:
            stored = self._stored_parts(key, parts)
            if not stored:
                raise LookupError(f"{key}: no upload in parts with this id")
            self._client().complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=parts, MultipartUpload={"Parts": stored}
            )
        except ClientError as fault:
            if _code(fault) not in NOT_FOUND_CODES:
                raise
            if self.info(key) is None:
                raise LookupError(f"{key}: no upload in parts with this id") from fault

    def abandon(self, key: str, parts: str) -> None:
        """See `Objects.abandon`."""
        try:
            self._client().abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=parts)
        except ClientError as fault:
            if _code(fault) not in NOT_FOUND_CODES:
                raise

    def upload_link(self, key: str, size: int, expires_s: int) -> str:
        """See `Objects.upload_link`. The length is part of the signature: S3 rejects any other."""
        return self._link("put_object", expires_s, Key=key, ContentLength=size)

    def part_link(self, key: str, parts: str, number: int, size: int, expires_s: int) -> str:
        """See `Objects.part_link`."""
        fields = {"Key": key, "UploadId": parts, "PartNumber": number, "ContentLength": size}
        return self._link("upload_part", expires_s, **fields)

    def download_link(self, key: str, expires_s: int, name: str) -> str:
        """See `Objects.download_link`."""
        saved_as = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return self._link("get_object", expires_s, Key=key, ResponseContentDisposition=saved_as)

    def _link(self, method: str, expires_s: int, **fields: Any) -> str:
        return self._client().generate_presigned_url(
            method, Params={"Bucket": self._bucket, **fields}, ExpiresIn=expires_s
        )

    def _stored_parts(self, key: str, parts: str) -> "list[CompletedPartTypeDef]":
        pages = self._client().get_paginator("list_parts")
        return [
            {"ETag": part["ETag"], "PartNumber": part["PartNumber"]}
            for page in pages.paginate(Bucket=self._bucket, Key=key, UploadId=parts)
            for part in page.get("Parts", [])
        ]


class _RangeReader(io.RawIOBase):
    """A file in S3, read by ranges. Raises ObjectChanged once its ETag differs."""

    def __init__(self, client: "S3Client", bucket: str, key: str, about: ObjectInfo) -> None:
        self._client = client
        self._bucket, self._key = bucket, key
        self._size, self._etag = about
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        part = f"bytes={self._position}-{end - 1}"
        try:
            response = self._client.get_object(
                Bucket=self._bucket, Key=self._key, IfMatch=self._etag, Range=part
            )
        except ClientError as fault:
            if _code(fault) in CHANGED_CODES:
                raise ObjectChanged("the file was replaced or deleted while it was read") from fault
            raise
        with faults.reading(self._key):
            data = response["Body"].read()
        if not data:  # it would count as the end of the file
            raise faults.NoAnswer(f"{self._key}: {part}: no data")
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _code(fault: ClientError) -> str:
    return fault.response["Error"].get("Code", "")
