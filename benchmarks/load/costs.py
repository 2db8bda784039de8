"""What one more user of each kind costs: processor time and memory of the platform against their number."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.load.plan import Plan
from benchmarks.load.run import run
from benchmarks.processes import platform_running

NOTHING = Plan(sockets=0, streams_16=0, streams_48=0, visits_per_hour=0.0, headsets=0, calls_per_s=0.0)
WARM_UP_S = 2.0


class Kind(NamedTuple):
    """A kind of user: how a plan has so many of them, and the numbers to measure."""

    plan: Callable[[int], Plan]
    numbers: Sequence[int]
    unit: str


KINDS = {
    "open sockets": Kind(lambda n: NOTHING._replace(sockets=n), (250, 500, 1000), "socket"),
    "streams at 16 kHz": Kind(lambda n: NOTHING._replace(sockets=n, streams_16=n), (4, 8, 16), "session"),
    "streams at 48 kHz": Kind(lambda n: NOTHING._replace(sockets=n, streams_48=n), (2, 4, 8), "session"),
    "REST calls": Kind(lambda n: NOTHING._replace(calls_per_s=float(n)), (50, 100, 200), "call a second"),
    "headsets": Kind(lambda n: NOTHING._replace(headsets=n), (250, 500, 1000), "headset"),
}


class Line(NamedTuple):
    """A least-squares line through measurements, and the share of their variance that it explains."""

    at_none: float
    each: float
    explained: float

    @classmethod
    def through(cls, numbers: Sequence[float], values: Sequence[float]) -> "Line":
        """Fit it."""
        each, at_none = np.polyfit(numbers, values, 1)
        left = np.asarray(values) - (at_none + each * np.asarray(numbers))
        spread = np.var(values)
        return cls(float(at_none), float(each), float(1 - np.var(left) / spread) if spread else 1.0)


def measure(seconds: float, share: float = 1.0, on_progress: Callable[[str], None] = print) -> dict[str, Any]:
    """Measure every kind alone, on a platform of its own, and fit a line to each cost.

    Parameters
    ----------
    seconds : float
        Duration of each measurement.
    share : float
        Of the numbers of users, for a small run.
    on_progress : callable
        Receives a line of text after each measurement.
    """
    found: dict[str, Any] = {}
    for name, kind in KINDS.items():
        with platform_running() as server:
            points = [_point(server, NOTHING, 0, seconds)]
        for number in (max(round(share * each), 1) for each in kind.numbers):
            with platform_running() as server:
                points.append(_point(server, kind.plan(number), number, seconds))
            on_progress(f"{number:5} {name}: {points[-1]['cores']:.3f} cores")
        numbers = [point["number"] for point in points]
        found[name] = {
            "unit": kind.unit,
            "points": points,
            "cores": Line.through(numbers, [point["cores"] for point in points])._asdict(),
            "memory_mb": Line.through(numbers, [point["memory_mb"] for point in points])._asdict(),
        }
    return found


def _point(server: Any, plan: Plan, number: int, seconds: float) -> dict[str, Any]:
    platform = run(server, plan._replace(seconds=seconds, warm_up_s=WARM_UP_S))["platform"]
    return {
        "number": number,
        "cores": platform["cores"],
        "memory_mb": platform["memory_mb"]["max"],
        "other_cores": platform["other_cores"],
    }
