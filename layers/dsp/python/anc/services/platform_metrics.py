"""Metrics of the platform: counts and durations from stored running totals, and what waits in its queues."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from anc.ports import Backlog
from anc.services.counted_events import EVENTS

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OVERFLOW = "over"
PROCESSING = {
    "block": "Processing time of live blocks.",
    "snapshot": "Processing time of snapshots.",
    "rest": "Processing time of REST requests.",
}
TIMED = {
    **PROCESSING,
    "block_answer": "Time from the receipt of a live block to its response.",
    "snapshot_shadow": "Time from the receipt of a snapshot to the update of the headset's shadow.",
    "emergency_open": "Time from the receipt of an emergency sound to the stored and published emergency.",
}
BACKLOG = {
    "messages": "Messages of the queue that wait or are in flight.",
    "age_seconds": "Time since the oldest message of the queue could have been delivered first.",
    "dead_letters": "Dead letters of the queue, until they are sent again.",
}


class Histogram(NamedTuple):
    """A histogram of durations.

    Attributes
    ----------
    counts : tuple of int
        Durations per bucket: each bucket ends at one of `BOUNDS_S`, inclusive, and the last one has no upper
        bound.
    total_s : float
        Sum of all durations.
    """

    counts: tuple[int, ...]
    total_s: float

    @property
    def number(self) -> int:
        """Number of durations."""
        return sum(self.counts)

    def quantile_s(self, q: float) -> float | None:
        """Return the upper bound of the bucket that contains quantile `q`; None for the last bucket."""
        below = 0
        for bound, count in zip(BOUNDS_S, self.counts, strict=False):
            below += count
            if below and below >= q * self.number:
                return bound
        return None


def histogram_increments(name: str, seconds: float) -> Iterator[tuple[str, float]]:
    """Return the names of the totals that a duration changes, each with its increment."""
    bound = next((f"{bound:g}" for bound in BOUNDS_S if seconds <= bound), OVERFLOW)
    yield f"{name}_seconds_{bound}", 1
    yield f"{name}_seconds_total", seconds


def histogram(name: str, totals: Mapping[str, float]) -> Histogram:
    """Return the histogram of one timed operation."""
    labels = [*(f"{bound:g}" for bound in BOUNDS_S), OVERFLOW]
    counts = tuple(int(totals.get(f"{name}_seconds_{label}", 0)) for label in labels)
    return Histogram(counts, totals.get(f"{name}_seconds_total", 0.0))


def event_totals(totals: Mapping[str, float]) -> dict[str, int]:
    """Return the totals that count events, without those of histograms."""
    return {name: int(total) for name, total in totals.items() if "_seconds_" not in name}


def histograms(totals: Mapping[str, float], names: Iterable[str] = TIMED) -> dict[str, Histogram]:
    """Return the histogram of each timed operation."""
    return {name: histogram(name, totals) for name in names}


def exposition(totals: Mapping[str, float], backlogs: Mapping[str, Backlog] | None = None) -> str:
    """Return all totals, and gauges of the queues, in the text format of Prometheus.

    An event that has not happened yet has the total 0. Without it, Prometheus would not see the first one:
    the increase of a series is counted from its first sample on.
    """
    # Imported on use, because the import takes longer than all others of the REST function together.
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.core import (  # noqa: PLC0415
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    class Totals:
        def collect(self) -> Iterator[Any]:
            for name, total in sorted((dict.fromkeys(EVENTS, 0) | event_totals(totals)).items()):
                meaning = EVENTS.get(name, f"{name.replace('_', ' ').capitalize()}.")
                yield CounterMetricFamily(f"anc_{name}", meaning, value=total)
            for name, durations in histograms(totals).items():
                labels = [*map(str, BOUNDS_S), "+Inf"]  # "1.0", which every version of Prometheus keeps
                buckets = list(zip(labels, accumulate(durations.counts), strict=True))
                yield HistogramMetricFamily(f"anc_{name}_seconds", TIMED[name], buckets, durations.total_s)
            for position, (name, meaning) in enumerate(BACKLOG.items() if backlogs else ()):
                gauge = GaugeMetricFamily(f"anc_queue_{name}", meaning, labels=["queue"])
                for queue, backlog in (backlogs or {}).items():
                    gauge.add_metric([queue], backlog[position])
                yield gauge

    registry = CollectorRegistry()
    registry.register(Totals())
    return generate_latest(registry).decode()
