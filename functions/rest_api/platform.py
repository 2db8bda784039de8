"""What operators of the platform look at: its health, its metrics and its description."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from anc.schemas.rest.responses import Health
from anc.services import health, platform_metrics
from functions.rest_api.request_context import dependencies

router = Router()
TAGS = ["platform"]
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health", tags=TAGS)
def check_health() -> tuple[Health, int]:
    """Tell whether the platform lives, and whether it is ready: 503 when it is not."""
    found = health.check(dependencies())
    return Health.model_validate(found), HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE


@router.get("/metrics", tags=TAGS)
def metrics() -> Response[str]:
    """Return all totals in Prometheus' text format."""
    return Response(HTTPStatus.OK, EXPOSITION, platform_metrics.exposition(dependencies().counters.read()))
