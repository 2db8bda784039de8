"""Endpoints for operators: health and metrics."""

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
    """Return the health of the platform, with status 503 when it is not ready."""
    found = health.check(dependencies())
    return Health.model_validate(found), HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE


@router.get("/metrics", tags=TAGS)
def metrics() -> Response[str]:
    """Return all counters and the state of the queues in the text format of Prometheus."""
    deps = dependencies()
    text = platform_metrics.exposition(deps.counters.read(), deps.backlogs())
    return Response(HTTPStatus.OK, EXPOSITION, text)
