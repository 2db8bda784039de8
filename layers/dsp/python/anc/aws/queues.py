"""Queues on SQS."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from anc.aws import clients

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class SqsQueue:
    """`anc.ports.Queue` on a standard SQS queue, named by its URL."""

    def __init__(self, url: str, client: "Callable[[], SQSClient]" = clients.sqs) -> None:
        self._url = url
        self._client = client

    def send(self, body: Mapping[str, Any], delay_s: int = 0) -> None:
        """See `Queue.send`. At most 256 KB."""
        text = msgspec.json.encode(body).decode()
        self._client().send_message(QueueUrl=self._url, MessageBody=text, DelaySeconds=delay_s)
