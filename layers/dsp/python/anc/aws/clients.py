"""One boto3 session, and one client per service made when first used: each costs a cold start 50 ms."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_iot_data import IoTDataPlaneClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

# Three tries, each of at most 2 s, and the waits between them, of at most 1 and 2 s, end before a function's
# timeout does. One whose caller waits for less is told in AWS_MAX_ATTEMPTS, which boto3 reads, to try less.
ANSWER_S = float(os.environ.get("AWS_ANSWER_S", "1"))  # an emulator's says that it takes longer
CONFIG = Config(connect_timeout=ANSWER_S, read_timeout=ANSWER_S, retries={"mode": "standard"})
# Making a key pair takes AWS a second or more, and a second try would make another.
IDENTITIES = CONFIG.merge(Config(read_timeout=max(5, ANSWER_S)))
# A recording is larger than anything else that travels; the limit is to each piece of it, not to the whole.
# Links to files under a customer's key need version 4 of the signature; some regions' default is 2. They name
# the bucket's own host, which is in its region: through the global one S3 redirects, which fails a PUT.
FILES = CONFIG.merge(
    Config(read_timeout=max(5, ANSWER_S), signature_version="s3v4", s3={"addressing_style": "virtual"})
)


def once(timeout_s: float) -> Config:
    """Return the configuration of a client that asks once, and waits no longer than this for each byte."""
    return Config(
        connect_timeout=min(timeout_s, 1.0), read_timeout=timeout_s, retries={"total_max_attempts": 1}
    )


@cache
def _session() -> boto3.Session:
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))  # boto3 reads AWS_DEFAULT_REGION alone


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the client of DynamoDB."""
    return _session().client("dynamodb", config=CONFIG)


@cache
def sqs() -> "SQSClient":
    """Return the client of SQS."""
    return _session().client("sqs", config=CONFIG)


@cache
def sns() -> Any:
    """Return the client of SNS."""
    return _session().client("sns", config=CONFIG)


@cache
def cognito() -> Any:
    """Return the client of Cognito's user pools."""
    return _session().client("cognito-idp", config=CONFIG)


@cache
def s3() -> "S3Client":
    """Return the client of S3."""
    return _session().client("s3", config=FILES)


@cache
def iot() -> Any:
    """Return the client of IoT's control plane."""
    return _session().client("iot", config=IDENTITIES)


@cache
def iot_data() -> "IoTDataPlaneClient":
    """Return the client of IoT's data plane: shadows and connections."""
    return _session().client("iot-data", config=CONFIG)


@cache
def sagemaker(timeout_s: float) -> Any:
    """Return the client of SageMaker's endpoints."""
    return _session().client("sagemaker-runtime", config=once(timeout_s))


@cache
def gateway(endpoint: str) -> "ApiGatewayManagementApiClient":
    """Return the client that posts to the sockets of the WebSocket API at `endpoint`."""
    return _session().client("apigatewaymanagementapi", endpoint_url=endpoint, config=CONFIG)
