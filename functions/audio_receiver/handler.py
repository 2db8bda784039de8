"""Every WebSocket route but connecting and leaving: one frame in, one out, in the route response."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.events import caller_of, connection_of, received_at
from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import live
from anc.wire.refusal import Refused
from anc.wire.websocket import Error, encode

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Answer a frame; a refusal is an answer too."""
    world = world or aws_world()
    try:
        answer = live.answer(
            event.get("body"), caller_of(event), connection_of(event), world, received_at(event)
        )
    except Refused as refusal:
        world.count(f"refused_{refusal.code}")
        return {"statusCode": 200, "body": encode(Error.of(refusal))}
    return {"statusCode": 200, "body": encode(answer)}
