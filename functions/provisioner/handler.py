"""Pre-provisioning hook of AWS IoT: decide whether a claim gets a certificate for its serial number."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.ports import Dependencies
from anc.schemas.claim import Claim
from anc.schemas.refusal import Refused
from anc.services.headsets import claims, device_status

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Allow or refuse a claim. The reason is recorded for the headset's owner and not returned."""
    deps = deps or aws_dependencies()
    serial = ""
    try:
        claim = Claim.of(event)
        serial = claims.serial_of(claim)
        claims.authorize_claim(claim, deps)
    except Refused as refusal:
        if refusal.code == "in_flight":
            raise
        deps.count(f"claims_refused_{refusal.code}")
        if serial:
            device_status.record_claim_refusal(serial, refusal, deps)
        logger.warning("claim refused", thing=serial, code=refusal.code, reason=refusal.message)
        return {"allowProvisioning": False}
    return {"allowProvisioning": True, "parameterOverrides": {}}
