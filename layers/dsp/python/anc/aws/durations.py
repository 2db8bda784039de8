"""Durations over time from CloudWatch.

References
----------
Amazon CloudWatch API Reference, GetMetricData; Amazon CloudWatch pricing.
"""

import os
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from anc.aws import clients
from anc.ports import OperationDurations

STATISTICS = ("SampleCount", "p50", "p90", "p99")
MAX_RANGES = 16  # that are kept, of at most 500 intervals


class Metric(NamedTuple):
    """A metric, and how many seconds its unit has."""

    namespace: str
    name: str
    dimension: tuple[str, str]
    unit_s: float = 1.0


def metrics() -> dict[str, Metric]:
    """Return the metric of each operation; all of them exist for other reasons and cost nothing more.

    Live blocks are timed from their receipt to the response, REST requests including the handler.
    """
    namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "anc")
    own = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "rest_api")
    return {
        "block": Metric(namespace, "block_answer", ("service", "audio_receiver")),
        "rest": Metric("AWS/Lambda", "Duration", ("FunctionName", own), 0.001),
        "snapshot": Metric(namespace, "snapshot", ("service", "anc_processor")),
    }


class CloudWatchDurations:
    """`anc.ports.Counters.durations` on CloudWatch, which computes the percentiles itself.

    AWS bills each metric of a request, so an answer is used again for half an interval by this container.
    """

    def __init__(
        self,
        client: Callable[[], Any] = clients.cloudwatch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Wall-clock time: a monotonic clock may stop while a Lambda container is frozen.
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[float, float, float], tuple[float, list[OperationDurations]]] = (
            OrderedDict()
        )

    def between(self, since: float, until: float, step_s: float) -> Sequence[OperationDurations]:
        """See `anc.ports.Counters.durations`."""
        key = (since, until, step_s)
        with self._lock:
            expires, answer = self._answers.get(key, (0.0, []))
        if expires > self._clock():
            return answer
        answer = sorted(self._read(since, until, step_s))
        with self._lock:
            self._answers[key] = (self._clock() + step_s / 2, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > MAX_RANGES:
                self._answers.popitem(last=False)
        return answer

    def _read(self, since: float, until: float, step_s: float) -> Iterator[OperationDurations]:
        read = metrics()
        queries = [
            _query(name, index, statistic, step_s)
            for name in read
            for index, statistic in enumerate(STATISTICS)
        ]
        values: dict[tuple[float, str], dict[int, float]] = defaultdict(dict)
        pages = self._client().get_paginator("get_metric_data")
        for page in pages.paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(since, UTC),
            EndTime=datetime.fromtimestamp(until, UTC),
            ScanBy="TimestampAscending",
        ):
            for result in page["MetricDataResults"]:
                name, _, index = result["Id"].rpartition("_")
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    values[at.timestamp(), name][int(index)] = value
        for (at, name), found in values.items():
            if len(found) == len(STATISTICS):  # calls that arrive during the request may appear in some only
                calls, *quantiles = (found[index] for index in range(len(STATISTICS)))
                unit_s = read[name].unit_s
                yield OperationDurations(at, name, int(calls), *(unit_s * value for value in quantiles))


def _query(name: str, index: int, statistic: str, step_s: float) -> dict[str, Any]:
    metric = metrics()[name]
    dimension, value = metric.dimension
    return {
        "Id": f"{name}_{index}",
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": dimension, "Value": value}],
            },
            "Period": int(step_s),
            "Stat": statistic,
        },
    }
