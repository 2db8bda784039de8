"""Publish alerts to SNS."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from anc.aws import clients

logger = Logger(child=True)
MAX_SUBJECT = 100


class SnsAlerts:
    """`anc.ports.Alerts` on an SNS topic, given by its ARN."""

    def __init__(self, topic: str, client: Callable[[], Any] = clients.sns) -> None:
        self._topic = topic
        self._client = client

    def publish(self, subject: str, text: str) -> None:
        """See `Alerts.publish`. Logs a failure instead of raising it, so that audio is not interrupted."""
        try:
            self._client().publish(TopicArn=self._topic, Subject=subject[:MAX_SUBJECT], Message=text)
        except (BotoCoreError, ClientError):
            logger.exception("alert not delivered")
