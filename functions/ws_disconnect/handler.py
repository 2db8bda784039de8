"""WebSocket `$disconnect`: delete the socket. Best effort; records that are missed expire."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.aws.events import connection_of
from anc.ports import Dependencies
from anc.services import connections

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Delete a socket and its watches."""
    connections.disconnect(connection_of(event), deps or aws_dependencies())
    return {"statusCode": 200}
