"""GetMetricData of CloudWatch with percentiles, which moto does not compute, and with AWS's limits.

References
----------
Amazon CloudWatch API Reference, GetMetricData, MetricDataQuery and MetricStat.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np

MAX_QUERIES, MAX_POINTS = 500, 100_800
PAGE = 5  # results of a page, so that there are several


class CloudWatch:
    """The metrics of one account: values by namespace, name and dimension."""

    def __init__(self) -> None:
        self.requests = 0
        self._values: dict[tuple[str, str, str, str], list[tuple[float, float]]] = defaultdict(list)

    def put(self, namespace: str, name: str, dimension: tuple[str, str], at: float, value: float) -> None:
        """Store a value."""
        self._values[namespace, name, *dimension].append((at, value))

    def get_paginator(self, operation: str) -> Self:
        """Return the paginator of the only operation that it has."""
        assert operation == "get_metric_data"
        return self

    def paginate(
        self, MetricDataQueries: list[dict[str, Any]], StartTime: datetime, EndTime: datetime, ScanBy: str
    ) -> Iterator[dict[str, Any]]:
        """Yield pages of results."""
        self.requests += 1
        assert ScanBy == "TimestampAscending"
        assert StartTime < EndTime
        assert len(MetricDataQueries) <= MAX_QUERIES
        results = [self._result(query, StartTime, EndTime) for query in MetricDataQueries]
        assert len({result["Id"] for result in results}) == len(results)
        assert sum(len(result["Values"]) for result in results) <= MAX_POINTS
        for begin in range(0, len(results), PAGE):
            yield {"MetricDataResults": results[begin : begin + PAGE]}

    def _result(self, query: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
        assert re.fullmatch(r"[a-z][A-Za-z0-9_]*", query["Id"])
        stat, period = query["MetricStat"]["Stat"], query["MetricStat"]["Period"]
        assert isinstance(period, int)
        assert period % 60 == 0
        assert start.timestamp() % period == 0, "other starts make other intervals"
        metric = query["MetricStat"]["Metric"]
        (dimension,) = metric["Dimensions"]
        assert all((metric["Namespace"], metric["MetricName"], dimension["Name"], dimension["Value"]))
        key = (metric["Namespace"], metric["MetricName"], dimension["Name"], dimension["Value"])
        grouped: dict[float, list[float]] = defaultdict(list)
        for at, value in self._values.get(key, []):
            if start.timestamp() <= at < end.timestamp():
                grouped[at // period * period].append(value)
        times = sorted(grouped)
        return {
            "Id": query["Id"],
            "StatusCode": "Complete",
            "Timestamps": [datetime.fromtimestamp(at, UTC) for at in times],
            "Values": [_statistic(stat, grouped[at]) for at in times],
        }


def _statistic(name: str, values: list[float]) -> float:
    if name == "SampleCount":
        return float(len(values))
    assert re.fullmatch(r"p\d{1,2}(\.\d{1,2})?", name)
    return float(np.percentile(values, float(name[1:])))
