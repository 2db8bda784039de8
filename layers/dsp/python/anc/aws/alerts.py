"""Alerts on SNS."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from anc.aws import clients

logger = Logger(child=True)
SUBJECT_LIMIT = 100


class SnsAlerts:
    """`anc.ports.Alerts` on a topic, named by its ARN."""

    def __init__(self, topic: str, client: Callable[[], Any] = clients.sns) -> None:
        self._topic = topic
        self._client = client

    def publish(self, subject: str, text: str) -> None:
        """See `Alerts.publish`. What cannot be delivered is logged; the sound goes on."""
        try:
            self._client().publish(TopicArn=self._topic, Subject=subject[:SUBJECT_LIMIT], Message=text)
        except (BotoCoreError, ClientError):
            logger.exception("an alert was not delivered")
