"""Endpoints for totals, durations and the classifiers in use."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc.schemas.rest.responses import Durations, Model, Models, Performance, Totals
from anc.services import platform_metrics
from anc.services.platform_metrics import Histogram
from anc.services.sound import detection
from functions.rest_api.request_context import dependencies

router = Router()
TAGS = ["statistics"]


@router.get("/api/models", tags=TAGS)
def list_models() -> Models:
    """Return the classifiers in use."""
    return Models(models=[Model(**model) for model in detection.models(dependencies())])


@router.get("/api/stats/summary", tags=TAGS)
def stats_summary() -> Totals:
    """Return all totals."""
    return Totals(totals=platform_metrics.event_totals(dependencies().counters.read()))


@router.get("/api/stats/performance", tags=TAGS)
def stats_performance() -> Performance:
    """Return server-side durations of live blocks, snapshots and REST requests."""
    totals = dependencies().counters.read()
    histograms = platform_metrics.histograms(totals, platform_metrics.PROCESSING)
    return Performance(**{name: _durations(histogram) for name, histogram in histograms.items()})


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
