"""Rate limits per caller, counted in DynamoDB."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from anc.aws import clients
from anc.memory_limits import MemoryLimits

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

WINDOW_S = 60
logger = Logger(service="limits")


class DynamoLimits:
    """`anc.ports.Limits`: one item per minute, caller and resource, which expires after that minute.

    API Gateway's own quotas apply to API keys of usage plans, which callers with tokens do not have.

    While DynamoDB does not answer, for example because one caller sends more than the 1,000 writes a second
    that an item takes, each instance limits callers by its own count. So a failure of the table neither
    refuses requests nor removes the limits.
    """

    def __init__(self, table: str, client: "Callable[[], DynamoDBClient]" = clients.dynamodb_once) -> None:
        self._table = table
        self._client = client
        self._fallback = MemoryLimits()

    def wait_s(self, what: str, caller: str, per_minute: int, amount: int = 1) -> int:
        """See `Limits.wait_s`."""
        try:
            return self._shared_wait_s(what, caller, per_minute, amount)
        except (BotoCoreError, ClientError) as fault:
            logger.warning("limits of this instance apply", fault=f"{type(fault).__name__}: {fault}")
            return self._fallback.wait_s(what, caller, per_minute, amount)

    def _shared_wait_s(self, what: str, caller: str, per_minute: int, amount: int) -> int:
        now, cost = int(time.time()), min(amount, per_minute)
        window = now // WINDOW_S
        window_end = (window + 1) * WINDOW_S
        client = self._client()
        try:
            client.update_item(
                TableName=self._table,
                Key={"key": {"S": f"{window}#{what}#{caller}"}},
                UpdateExpression="ADD calls :cost SET sweep = :end",
                ConditionExpression="attribute_not_exists(calls) OR calls <= :room",
                ExpressionAttributeValues={
                    ":cost": {"N": str(cost)},
                    ":room": {"N": str(per_minute - cost)},
                    ":end": {"N": str(window_end)},
                },
            )
        except client.exceptions.ConditionalCheckFailedException:
            return window_end - now
        return 0
