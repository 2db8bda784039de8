"""WebSocket `$connect`: store the socket, and accept the subprotocol."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.aws.events import caller_of, connection_of, problem_response
from anc.ports import Dependencies, StorageUnavailable
from anc.schemas.refusal import Refused
from anc.schemas.websocket import SUBPROTOCOL
from anc.services import connections

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Store an authorized socket. The response names the subprotocol, never the token offered with it."""
    here = deps or aws_dependencies()
    try:
        connections.connect(connection_of(event), caller_of(event), here)
    except Refused as refusal:
        here.count(f"refused_{refusal.code}")
        return problem_response(refusal)
    except StorageUnavailable as fault:
        logger.error("nothing can be stored", fault=str(fault))
        return problem_response(fault.refusal())
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    offered = headers.get("sec-websocket-protocol", "")
    if SUBPROTOCOL in (part.strip() for part in offered.split(",")):
        return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": SUBPROTOCOL}}
    return {"statusCode": 200}
