"""How often each caller called what, in DynamoDB."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from anc.aws import clients

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

WINDOW_S = 60


class DynamoLimits:
    """`anc.ports.Limits`: one counter for each minute of each caller and endpoint, swept when it is over.

    API Gateway's own quotas go by API keys of its usage plans, which bearers of tokens do not have.
    """

    def __init__(self, table: str, client: "Callable[[], DynamoDBClient]" = clients.dynamodb) -> None:
        self._table = table
        self._client = client

    def wait_s(self, what: str, caller: str, per_minute: int, amount: int = 1) -> int:
        """See `Limits.wait_s`."""
        now, cost = int(time.time()), min(amount, per_minute)
        window = now // WINDOW_S
        over = (window + 1) * WINDOW_S
        client = self._client()
        try:
            client.update_item(
                TableName=self._table,
                Key={"key": {"S": f"{window}#{what}#{caller}"}},
                UpdateExpression="ADD calls :cost SET sweep = :over",
                ConditionExpression="attribute_not_exists(calls) OR calls <= :room",
                ExpressionAttributeValues={
                    ":cost": {"N": str(cost)},
                    ":room": {"N": str(per_minute - cost)},
                    ":over": {"N": str(over)},
                },
            )
        except client.exceptions.ConditionalCheckFailedException:
            return over - now
        return 0
