"""One boto3 session, and one client per service, created on first use: each adds 50 ms to a cold start."""

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from anc.aws import faults

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

MAX_EMPTY_BATCHES, EMPTY_BATCH_WAIT_S = 4, 0.05


def single_attempt(timeout_s: float) -> Config:
    """Return the configuration of a client that does not retry; the timeout applies to each read."""
    return Config(
        connect_timeout=min(timeout_s, 1.0), read_timeout=timeout_s, retries={"total_max_attempts": 1}
    )


@cache
def _session() -> boto3.Session:
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))  # boto3 reads AWS_DEFAULT_REGION


def _storage(service: str, config: Config = CONFIG) -> Any:
    """Return a client whose temporary faults are raised as `anc.ports.StorageUnavailable`."""
    session: Any = _session()  # types-boto3 knows no service whose name is a variable
    client = session.client(service, config=config)
    faults.translate(client)
    return client


@cache
def dynamodb() -> "DynamoDBClient":
    """Return the DynamoDB client."""
    client: DynamoDBClient = _storage("dynamodb")
    return client


@cache
def dynamodb_once() -> "DynamoDBClient":
    """Return a DynamoDB client without retries, for writes that nothing waits for."""
    client: DynamoDBClient = _storage("dynamodb", single_attempt(TIMEOUT_S))
    return client


@cache
def sqs() -> "SQSClient":
    """Return the SQS client."""
    client: SQSClient = _storage("sqs")
    return client


@cache
def sns() -> Any:
    """Return the SNS client."""
    return _session().client("sns", config=CONFIG)


@cache
def cloudwatch() -> Any:
    """Return the CloudWatch client."""
    return _storage("cloudwatch")


@cache
def cognito() -> Any:
    """Return the client of Cognito user pools."""
    return _storage("cognito-idp")


@cache
def s3() -> "S3Client":
    """Return the S3 client."""
    client: S3Client = _storage("s3", S3_CONFIG)
    return client


@cache
def iot() -> Any:
    """Return the client of the AWS IoT control plane."""
    return _storage("iot", IOT_CONFIG)


@cache
def iot_data() -> "IoTDataPlaneClient":
    """Return the client of the AWS IoT data plane: shadows and connections."""
    client: IoTDataPlaneClient = _storage("iot-data")
    return client


@cache
def sagemaker(timeout_s: float) -> Any:
    """Return the client of SageMaker endpoints."""
    return _session().client("sagemaker-runtime", config=single_attempt(timeout_s))


@cache
def gateway(endpoint: str) -> "ApiGatewayManagementApiClient":
    """Return the management client of the WebSocket API at `endpoint`."""
    return _session().client("apigatewaymanagementapi", endpoint_url=endpoint, config=CONFIG)


def batch_get(client: "DynamoDBClient", request: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the items of a BatchGetItem by table, also those that DynamoDB left for further requests.

    It does so above 16 MB, and without an error while it throttles: every request must therefore bring items.

    Raises
    ------
    faults.NoAnswer
        When DynamoDB has left everything `MAX_EMPTY_BATCHES` times.
    """
    found: dict[str, list[Any]] = {table: [] for table in request}
    empty = 0
    while request:
        answer = client.batch_get_item(RequestItems=request)
        for table, items in answer["Responses"].items():
            found[table] += items
        request = dict(answer["UnprocessedKeys"])
        empty = 0 if any(answer["Responses"].values()) else empty + 1
        if request and empty == MAX_EMPTY_BATCHES:
            raise faults.NoAnswer(f"BatchGetItem: keys of {', '.join(request)} were not processed")
        if request and empty:
            time.sleep(EMPTY_BATCH_WAIT_S * 2**empty)
    return found
