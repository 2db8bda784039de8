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
    """`anc.ports.Counters`: every addition a CloudWatch metric, and now and then one update of the item.

    A busy container writes at most every ten seconds, so that a block of a live session does not cost a
    second write; what a container counted last is lost from the totals when Lambda drops it, never from
    CloudWatch. Functions that are given no table write metrics only.
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
        self._added: Counter[str] = Counter()
        self._flushed = clock() - FLUSH_S

    def add(self, name: str, amount: float = 1) -> None:
        """See `Counters.add`."""
        # The handler's `log_metrics` writes what was counted when the invocation ends.
        Metrics().add_metric(name=name, unit=MetricUnit.Count, value=amount)
        self._add({name: amount})

    def time(self, name: str, seconds: float) -> None:
        """See `Counters.time`. CloudWatch gets the duration itself, and knows its percentiles."""
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
            self._added.update(amounts)
            due = self._clock() - self._flushed >= FLUSH_S
        if due:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            added, self._added = list(self._added.items()), Counter()
            self._flushed = self._clock()
        if added:
            self._client().update_item(
                TableName=self._table,
                Key=TOTALS,
                UpdateExpression="ADD " + ", ".join(f"#{i} :{i}" for i in range(len(added))),
                ExpressionAttributeNames={f"#{i}": name for i, (name, _) in enumerate(added)},
                ExpressionAttributeValues={
                    f":{i}": {"N": f"{sum_:.9g}"} for i, (_, sum_) in enumerate(added)
                },
            )
