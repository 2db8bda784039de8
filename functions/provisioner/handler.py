"""AWS IoT's pre-provisioning hook: whether a headset that came with the factory's claim may have its name."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import claims, status
from anc.wire.claim import Claim
from anc.wire.refusal import Refused

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Say yes or no. Why not is for the headset's owner; who claims is told no more than that."""
    world = world or aws_world()
    serial = ""
    try:
        claim = Claim.of(event)
        serial = claims.serial_of(claim)
        claims.admit(claim, world)
    except Refused as refusal:
        if refusal.code == "in_flight":
            raise
        world.count(f"claims_refused_{refusal.code}")
        if serial:
            status.claim_refused(serial, refusal, world)
        logger.warning("claim refused", thing=serial, code=refusal.code, reason=refusal.message)
        return {"allowProvisioning": False}
    return {"allowProvisioning": True, "parameterOverrides": {}}
