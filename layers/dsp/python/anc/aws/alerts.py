"""Alerts on SNS."""

from collections.abc import Callable
from typing import Any

from anc.aws import clients


class SnsAlerts:
    """`anc.ports.Alerts` on a topic, named by its ARN."""

    def __init__(self, topic: str, client: Callable[[], Any] = clients.sns) -> None:
        self._topic = topic
        self._client = client

    def publish(self, subject: str, text: str) -> None:
        """See `Alerts.publish`."""
        self._client().publish(TopicArn=self._topic, Subject=subject[:100], Message=text)
