"""Running totals in one DynamoDB item."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from anc.aws import clients
from anc.services.platform_metrics import histogram_increments

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TOTALS = {"key": {"S": "totals"}}
FLUSH_S = 10.0


class DynamoCounters:
    """`anc.ports.Counters`: each addition is a CloudWatch metric, and totals are in one item.

    A container updates the item at most every ten seconds, so that a block of a live session does not cost a
    second write. When Lambda stops a container, its latest additions are lost from the totals, but not from
    CloudWatch. Without a table name only metrics are written.
    """

    def __init__(
        self,
        table: str,
        client: "Callable[[], DynamoDBClient]" = clients.dynamodb,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: Counter[str] = Counter()
        self._flushed_at = clock() - FLUSH_S

    def add(self, name: str, amount: float = 1) -> None:
        """See `Counters.add`."""
        # The handler's `log_metrics` writes the metrics at the end of the invocation.
        Metrics().add_metric(name=name, unit=MetricUnit.Count, value=amount)
        self._add({name: amount})

    def time(self, name: str, seconds: float) -> None:
        """See `Counters.time`. CloudWatch receives the duration itself and computes percentiles."""
        Metrics().add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
        self._add(dict(histogram_increments(name, seconds)))

    def read(self) -> Mapping[str, float]:
        """See `Counters.read`."""
        self._flush()
        item = self._client().get_item(TableName=self._table, Key=TOTALS, ConsistentRead=True).get("Item", {})
        return {name: float(value["N"]) for name, value in sorted(item.items()) if "N" in value}

    def _add(self, amounts: Mapping[str, float]) -> None:
        if not self._table:
            return
        with self._lock:
            self._pending.update(amounts)
            due = self._clock() - self._flushed_at >= FLUSH_S
        if due:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            added, self._pending = list(self._pending.items()), Counter()
            self._flushed_at = self._clock()
        if added:
            self._client().update_item(
                TableName=self._table,
                Key=TOTALS,
                UpdateExpression="ADD " + ", ".join(f"#{i} :{i}" for i in range(len(added))),
                ExpressionAttributeNames={f"#{i}": name for i, (name, _) in enumerate(added)},
                ExpressionAttributeValues={
                    f":{i}": {"N": f"{amount:.9g}"} for i, (_, amount) in enumerate(added)
                },
            )
