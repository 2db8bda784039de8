"""Send messages to SQS."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from anc.aws import clients
from anc.schemas import messages

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class SqsQueue:
    """`anc.ports.Queue` on a standard SQS queue, given by its URL."""

    def __init__(self, url: str, client: "Callable[[], SQSClient]" = clients.sqs) -> None:
        self._url = url
        self._client = client

    def send(self, message: messages.Message, delay_s: int = 0) -> None:
        """See `Queue.send`. At most 1 MB."""
        body = messages.encode(message)
        self._client().send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_s)
