"""What the platform has done so far and how long it took, from totals that are kept as it happens."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OVER = "over"
TIMED = ("block", "snapshot", "rest")


class Histogram(NamedTuple):
    """Durations by size.

    Attributes
    ----------
    sizes : tuple of int
        How many took no longer than each of `BOUNDS_S` but longer than the one before; the last, longer
        than all.
    total_s : float
        Their sum.
    """

    sizes: tuple[int, ...]
    total_s: float

    @property
    def number(self) -> int:
        """How many there are."""
        return sum(self.sizes)

    def quantile_s(self, q: float) -> float | None:
        """Return the least bound that at least the share `q` did not exceed; None when it exceeded all."""
        reached = 0
        for bound, size in zip(BOUNDS_S, self.sizes, strict=False):
            reached += size
            if reached and reached >= q * self.number:
                return bound
        return None


def parts_of(name: str, seconds: float) -> Iterator[tuple[str, float]]:
    """Return the totals that a duration belongs to, and what it adds to each."""
    bound = next((f"{bound:g}" for bound in BOUNDS_S if seconds <= bound), OVER)
    yield f"{name}_seconds_{bound}", 1
    yield f"{name}_seconds_total", seconds


def histogram(name: str, totals: Mapping[str, float]) -> Histogram:
    """Return the durations of one name from all totals."""
    labels = [*(f"{bound:g}" for bound in BOUNDS_S), OVER]
    sizes = tuple(int(totals.get(f"{name}_seconds_{label}", 0)) for label in labels)
    return Histogram(sizes, totals.get(f"{name}_seconds_total", 0.0))


def plain(totals: Mapping[str, float]) -> dict[str, int]:
    """Return the totals that count events."""
    return {name: int(total) for name, total in totals.items() if "_seconds_" not in name}


def timed(totals: Mapping[str, float]) -> dict[str, Histogram]:
    """Return the durations of everything that is timed."""
    return {name: histogram(name, totals) for name in TIMED}


def exposition(totals: Mapping[str, float]) -> str:
    """Return all totals in Prometheus' text format."""
    # Imported here: it takes longer than all else that a REST function imports of its own.
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily  # noqa: PLC0415

    class Totals:
        def collect(self) -> Iterator[Any]:
            for name, total in sorted(plain(totals).items()):
                yield CounterMetricFamily(f"anc_{name}", name.replace("_", " "), value=total)
            for name, durations in timed(totals).items():
                labels = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
                buckets = list(zip(labels, accumulate(durations.sizes), strict=True))
                yield HistogramMetricFamily(
                    f"anc_{name}_seconds", f"How long a {name} takes.", buckets, durations.total_s
                )

    registry = CollectorRegistry()
    registry.register(Totals())
    return generate_latest(registry).decode()
