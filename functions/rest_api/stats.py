"""Endpoints for totals, durations and the classifiers in use."""

from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from anc.schemas.rest.responses import (
    Durations,
    IntervalDurations,
    Model,
    Models,
    Performance,
    PerformanceHistory,
    PerformanceInterval,
    Totals,
)
from anc.services import duration_history, platform_metrics
from anc.services.platform_metrics import Histogram
from anc.services.sound import detection
from functions.rest_api.request_context import dependencies

router = Router()
TAGS = ["statistics"]
Since = Annotated[
    float | None,
    Query(ge=0, le=4e9, description="Return the history since then, in seconds since the epoch."),
]
Until = Annotated[float | None, Query(ge=0, le=4e9, description="End of the history. Default: now.")]
Intervals = Annotated[int, Query(ge=1, le=500, description="Number of intervals of the history.")]


@router.get("/api/models", tags=TAGS)
def list_models() -> Models:
    """Return the classifiers in use."""
    return Models(models=[Model(**model) for model in detection.models(dependencies())])


@router.get("/api/stats/summary", tags=TAGS)
def stats_summary() -> Totals:
    """Return all totals."""
    return Totals(totals=platform_metrics.event_totals(dependencies().counters.read()))


@router.get("/api/stats/performance", tags=TAGS)
def stats_performance(since: Since = None, until: Until = None, intervals: Intervals = 180) -> Performance:
    """Return server-side durations of live blocks, snapshots and REST requests, in total and over time."""
    totals = dependencies().counters.read()
    histograms = platform_metrics.histograms(totals, platform_metrics.PROCESSING)
    found = None
    if since is not None:
        found = _history(duration_history.performance_history(dependencies(), since, until, intervals))
    durations = {name: _durations(histogram) for name, histogram in histograms.items()}
    return Performance(**durations, history=found)


def _history(found: duration_history.PerformanceHistory) -> PerformanceHistory:
    intervals = [
        PerformanceInterval(
            at=each.at,
            operations={name: IntervalDurations(**of._asdict()) for name, of in each.operations.items()},
        )
        for each in found.intervals
    ]
    return PerformanceHistory(**found._asdict() | {"intervals": intervals})


def _durations(histogram: Histogram) -> Durations:
    def quantile_ms(q: float) -> float | None:
        bound = histogram.quantile_s(q)
        return None if bound is None else 1000 * bound

    number = histogram.number
    return Durations(
        count=number,
        mean_ms=round(1000 * histogram.total_s / number, 3) if number else None,
        p50_ms=quantile_ms(0.5),
        p90_ms=quantile_ms(0.9),
        p99_ms=quantile_ms(0.99),
    )
