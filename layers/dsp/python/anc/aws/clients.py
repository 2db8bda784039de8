"""One boto3 session, and one client per service, created on first use: each adds 50 ms to a cold start."""

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

# Three attempts of at most 2 s each, and waits of at most 1 s and 2 s between them, end before the timeout of
# a function. A function with a shorter timeout sets AWS_MAX_ATTEMPTS, which boto3 reads.
TIMEOUT_S = float(os.environ.get("AWS_ANSWER_S", "1"))  # an emulator needs more
CONFIG = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"mode": "standard"})
# AWS IoT takes a second or more to create a key pair, and a retry would create another one.
IOT_CONFIG = CONFIG.merge(Config(read_timeout=max(5, TIMEOUT_S)))
# The timeout applies to each read of a large file. Links to files under a customer-managed key need signature
# version 4; some regions default to 2. They name the bucket's regional host, because the global one
# redirects, and a redirected PUT fails.
S3_CONFIG = CONFIG.merge(
    Config(read_timeout=max(5, TIMEOUT_S), signature_version="s3v4", s3={"addressing_style": "virtual"})
)


def single_attempt(timeout_s: float) -> Config:
    """Return the configuration of a client that does not retry; the timeout applies to each read."""
    return Config(
        connect_timeout=min(timeout_s, 1.0), read_timeout=timeout_s, retries={"total_max_attempts": 1}
    )


@cache
def _session() -> boto3.Session:
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))  # boto3 reads AWS_DEFAULT_REGION


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the DynamoDB client."""
    return _session().client("dynamodb", config=CONFIG)


@cache
def dynamodb_once() -> "DynamoDBClient":
    """Return a DynamoDB client without retries, for writes that nothing waits for."""
    return _session().client("dynamodb", config=single_attempt(TIMEOUT_S))


@cache
def sqs() -> "SQSClient":
    """Return the SQS client."""
    return _session().client("sqs", config=CONFIG)


@cache
def sns() -> Any:
    """Return the SNS client."""
    return _session().client("sns", config=CONFIG)


@cache
def cognito() -> Any:
    """Return the client of Cognito user pools."""
    return _session().client("cognito-idp", config=CONFIG)


@cache
def s3() -> "S3Client":
    """Return the S3 client."""
    return _session().client("s3", config=S3_CONFIG)


@cache
def iot() -> Any:
    """Return the client of the AWS IoT control plane."""
    return _session().client("iot", config=IOT_CONFIG)


@cache
def iot_data() -> "IoTDataPlaneClient":
    """Return the client of the AWS IoT data plane: shadows and connections."""
    return _session().client("iot-data", config=CONFIG)


@cache
def sagemaker(timeout_s: float) -> Any:
    """Return the client of SageMaker endpoints."""
    return _session().client("sagemaker-runtime", config=single_attempt(timeout_s))


@cache
def gateway(endpoint: str) -> "ApiGatewayManagementApiClient":
    """Return the management client of the WebSocket API at `endpoint`."""
    return _session().client("apigatewaymanagementapi", endpoint_url=endpoint, config=CONFIG)
