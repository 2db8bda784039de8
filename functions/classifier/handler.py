"""`POST /api/audio/classify`: a sound file in, the name of its noise out."""

import base64
from typing import Any

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.events import refused
from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import hearing
from anc.wire.refusal import Refused
from functions.limits import admit

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Classify the file in the body."""
    world = world or aws_world()
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    try:
        admit(event, world)
        answer = hearing.classify_file(data, world)
    except Refused as refusal:
        world.count(f"refused_{refusal.code}")
        return refused(refusal)
    return {
        "statusCode": 200,
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "body": msgspec.json.encode(answer).decode(),
        "isBase64Encoded": False,
    }
