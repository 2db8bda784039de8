"""Running totals in a few DynamoDB items."""

import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from anc.aws import clients
from anc.aws.durations import CloudWatchDurations
from anc.ports import OperationDurations
from anc.published_metrics import is_published
from anc.services.platform_metrics import histogram_increments

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SHARDS = 16
FORMER_TOTALS = "totals"  # the only item of earlier versions, which is still added up
FLUSH_S = 30.0
logger = Logger(service="counters")


class DynamoCounters:
    """`anc.ports.Counters`: totals are sums over `SHARDS` items.

    The counters in `anc.published_metrics` are CloudWatch metrics as well.

    One item takes 1,000 write units a second, and an update of all totals is about five, so each container
    adds to a random shard. It does so at most every thirty seconds, so that a block of a live session
    does not cost a second write. A failed update is not retried at once, which would delay the work that is
    counted, but with the next one. When Lambda stops a container, its latest additions are lost from the
    totals. Without a table name only metrics are written.
    """

    def __init__(
        self,
        table: str,
        client: "Callable[[], DynamoDBClient]" = clients.dynamodb_once,
        clock: Callable[[], float] = time.monotonic,
        durations: CloudWatchDurations | None = None,
    ) -> None:
        self._durations = durations or CloudWatchDurations()
        self._function = os.environ.get("POWERTOOLS_SERVICE_NAME", "")
        self._table = table
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._key = {"key": {"S": _shard(secrets.randbelow(SHARDS))}}
        self._pending: Counter[str] = Counter()
        self._flushed_at = clock() - FLUSH_S

    def add(self, name: str, amount: float = 1) -> None:
        """See `Counters.add`."""
        self._publish(name, MetricUnit.Count, amount)
        self._add({name: amount})

    def time(self, name: str, seconds: float) -> None:
        """See `Counters.time`. CloudWatch receives the duration itself and computes percentiles."""
        self._publish(name, MetricUnit.Seconds, seconds)
        self._add(dict(histogram_increments(name, seconds)))

    def read(self) -> Mapping[str, float]:
        """See `Counters.read`."""
        self._flush()
        keys = [FORMER_TOTALS, *map(_shard, range(SHARDS))]
        request: Any = {self._table: {"Keys": [{"key": {"S": key}} for key in keys], "ConsistentRead": True}}
        totals: Counter[str] = Counter()
        for item in clients.batch_get(self._client(), request)[self._table]:
            totals.update({name: float(value["N"]) for name, value in item.items() if "N" in value})
        return dict(sorted(totals.items()))

    def durations(self, since: float, until: float, step_s: float) -> Sequence[OperationDurations]:
        """See `Counters.durations`."""
        return self._durations.between(since, until, step_s)

    def _publish(self, name: str, unit: MetricUnit, value: float) -> None:
        if is_published(self._function, name):
            # The handler's `log_metrics` writes the metrics at the end of the invocation.
            Metrics().add_metric(name=name, unit=unit, value=value)

    def _add(self, amounts: Mapping[str, float]) -> None:
        if not self._table:
            return
        with self._lock:
            self._pending.update(amounts)
            due = self._clock() - self._flushed_at >= FLUSH_S
        if due:
            try:
                self._flush()
            except Exception as fault:  # noqa: BLE001  whatever it is, it must not fail what is counted
                logger.warning("totals not written", fault=f"{type(fault).__name__}: {fault}")

    def _flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, Counter()
            self._flushed_at = self._clock()
        try:
            self._write(list(pending.items()))
        except Exception:
            with self._lock:
                self._pending.update(pending)
            raise

    def _write(self, added: Sequence[tuple[str, float]]) -> None:
        if added:
            self._client().update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="ADD " + ", ".join(f"#{i} :{i}" for i in range(len(added))),
                ExpressionAttributeNames={f"#{i}": name for i, (name, _) in enumerate(added)},
                ExpressionAttributeValues={
                    f":{i}": {"N": f"{amount:.9g}"} for i, (_, amount) in enumerate(added)
                },
            )


def _shard(number: int) -> str:
    return f"{FORMER_TOTALS}#{number}"
