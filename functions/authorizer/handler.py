"""Lambda authorizer (REQUEST) of both APIs: verify the token, and return the caller and a policy."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
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
    """Return the policy for a valid token.

    API Gateway must not cache the result: a token ends when it expires, and a key when it is revoked.

    Raises
    ------
    Exception
        With the text `Unauthorized`, for which API Gateway responds with 401.
    """
    deps = deps or aws_dependencies()
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
        # API Gateway accepts strings and numbers here, but no lists.
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
    # The function checks the role per endpoint; this policy only says that the token is valid.
    api, stage = method_arn.split("/")[:2]
    return f"{api}/{stage}/*"
