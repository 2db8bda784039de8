"""Lambda authorizer (REQUEST) of both APIs: a token in, who it is and what may be called out."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies as aws_world
from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.services.access import identity

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Let a valid token in.

    Its answers may not be cached: a token ends at its expiry, a key when it is revoked.

    Raises
    ------
    Exception
        With the very text `Unauthorized`, from which API Gateway makes a 401.
    """
    deps = deps or aws_world()
    try:
        caller = identity.verify(_token_of(event), deps)
    except Refused as refusal:
        deps.count("refused_unauthorized")
        logger.info("refused", reason=refusal.message)
        raise Exception("Unauthorized") from refusal
    return {
        "principalId": caller.user,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": _whole_stage(event["methodArn"]),
                }
            ],
        },
        # API Gateway takes texts and numbers here, no lists.
        "context": {
            "user": caller.user,
            "role": caller.role,
            "key": caller.key,
            "scopes": " ".join(caller.scopes),
            "since": str(caller.since),
        },
    }


def _token_of(event: dict[str, Any]) -> str:
    headers = event.get("headers") or {}
    handshake = (event.get("requestContext") or {}).get("eventType") == "CONNECT"
    return identity.socket_token_of(headers) if handshake else identity.rest_token_of(headers)


def _whole_stage(method_arn: str) -> str:
    # The role decides per endpoint in the function itself; this policy only says that the token is good.
    api, stage = method_arn.split("/")[:2]
    return f"{api}/{stage}/*"
