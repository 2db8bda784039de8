"""WebSocket `$disconnect`: forget the socket. Best effort; expiry cleans up what this misses."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.events import connection_of
from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import connections

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Forget a socket and what it watched."""
    connections.disconnect(connection_of(event), world or aws_world())
    return {"statusCode": 200}
