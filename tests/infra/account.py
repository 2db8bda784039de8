"""An AWS account on moto, with AWS's limits, that runs the functions and records every API call."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple, get_args
from unittest import mock

import boto3
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from anc.aws import clients
from anc.aws.dependencies import aws_dependencies
from anc.ports import Dependencies
from anc.records import Role
from anc.tables import FEED_INDEX, GROUP_INDEX, TABLE_NAMES, variable
from functions.routes import QUEUES, REST
from local.lambda_context import LocalContext
from local.lambda_events import rest_event, socket_event
from local.storage.queues import Message, sqs_event
from tests.aws_limits import REGION, AwsLimits, session_here

CLIENTS = ("dynamodb", "dynamodb_once", "sqs", "sns", "cognito", "s3", "iot", "iot_data", "gateway")
CLIENTS += ("sagemaker", "cloudwatch")
INDEXES = {GROUP_INDEX: "group", FEED_INDEX: "shard"}
ALICE = {"principalId": "alice", "user": "alice", "role": "listener", "key": ""}


class Call(NamedTuple):
    """An IAM action that a function used, and its resource as in the permission lists."""

    action: str
    what: str


class AlmostOutOfTime(LocalContext):
    """A Lambda context with little remaining time."""

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        return 1000


@dataclass
class Account:
    """Invokes the functions as AWS does, each with new dependencies, as after a cold start."""

    calls: dict[str, set[Call]] = field(default_factory=dict)
    limits: AwsLimits = field(default_factory=AwsLimits)
    running: str = ""
    signed_for: dict[str, str] = field(default_factory=dict)

    def with_endpoint(self, **prediction: Any) -> None:
        """Add an endpoint that always returns this prediction."""
        os.environ["ML_ENDPOINT_NAME"] = "anc-dev"
        self.limits.prediction = prediction

    def invoke(self, function: str, event: dict[str, Any], context: Any = None) -> Any:
        """Invoke a function."""
        handler = import_module(f"functions.{function}.handler").handler
        self.running = function
        self.calls.setdefault(function, set())
        try:
            return handler(event, context or LocalContext(function), aws_dependencies.__wrapped__())
        finally:
            self.running = ""

    def rest(
        self,
        method: str,
        resource: str,
        body: Any = None,
        id: str = "",
        query: dict[str, str] | None = None,
        **who: str,
    ) -> tuple[int, Any]:
        """Call the REST API and return status and document."""
        path = resource.replace("{id}", id)
        route = next(route for route in REST if (route.method, route.path) == (method, resource))
        raw = isinstance(body, bytes)
        text = base64.b64encode(body).decode() if raw else None if body is None else json.dumps(body)
        kind = {"content-type": "audio/wav" if raw else "application/json"}
        event = rest_event(
            method,
            resource,
            path,
            {"id": id} if id else {},
            query or {},
            kind,
            text,
            raw,
            ALICE | who,
            "192.0.2.1",
        )
        answer = self.invoke(route.function, event)
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def socket(self, kind: str, connection: str = "socket-1", frame: Any = None, **who: str) -> Any:
        """Open or close a WebSocket connection of a user, or send a frame on it."""
        body = None if frame is None else json.dumps(frame)
        route = {"CONNECT": "$connect", "DISCONNECT": "$disconnect", "MESSAGE": "$default"}[kind]
        event = socket_event(kind, route, connection, 0.0, ALICE | who, headers={}, body=body)
        function = {"CONNECT": "ws_connect", "DISCONNECT": "ws_disconnect"}.get(kind, "audio_receiver")
        answer = self.invoke(function, event)
        return json.loads(answer["body"]) if "body" in answer else answer

    def signed(self, claim: dict[str, Any]) -> dict[str, Any]:
        """Register the certificate of a claim with AWS IoT and return the hook's event."""
        pem = claim["certificatePem"]
        if pem not in self.signed_for:
            made = (
                session_here()
                .client("iot")
                .register_certificate_without_ca(certificatePem=pem, status="INACTIVE")
            )
            self.signed_for[pem] = made["certificateId"]
        return claim | {"certificateId": self.signed_for[pem]}

    def consume(self, function: str, *messages: Any, context: Any = None) -> list[str]:
        """Pass messages of a queue to its function and return the failed ones."""
        texts = [json.dumps(message) for message in messages]
        event = sqs_event("queue", [Message(n, text, 1) for n, text in enumerate(texts)])
        answer = self.invoke(function, event, context)
        return [failed["itemIdentifier"] for failed in answer["batchItemFailures"]]

    def waiting(self, queue: str) -> list[Any]:
        """Receive the messages of a queue."""
        sqs = session_here().client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    @property
    def deps(self) -> Dependencies:
        """Dependencies whose calls are not recorded, for assertions."""
        return aws_dependencies.__wrapped__()

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Record the permissions that a call or a presigned link requires."""
        if self.running:
            self.calls[self.running] |= set(needs(model.service_model.service_name, model.name, params))

    def session(self) -> boto3.Session:
        """Return a boto3 session with recorded calls and AWS's limits."""
        session = self.limits.session()
        session.events.register("provide-client-params.*.*", self.note)
        return session


def needs(service: str, operation: str, params: dict[str, Any]) -> Iterator[Call]:
    """Yield the permissions that an operation requires.

    References
    ----------
    Service Authorization Reference: actions, resources, and condition keys.
    """
    match service:
        case "dynamodb":
            table = params.get("TableName") or next(iter(params["RequestItems"]))
            index = f"/{params['IndexName']}" if "IndexName" in params else ""
            yield Call(f"dynamodb:{operation}", table + index)
        case "s3":
            prefix = params["Key"].partition("/")[0]
            yield Call(f"s3:{S3.get(operation, operation)}", prefix)
            if operation in ("GetObject", "HeadObject"):  # else S3 answers 403, not 404, when it is absent
                yield Call("s3:ListBucket", "objects")
        case "sqs":
            yield Call(f"sqs:{operation}", params["QueueUrl"].rpartition("/")[2])
        case "sns":
            yield Call(f"sns:{operation}", params["TopicArn"].rpartition(":")[2])
        case "cognito-idp":
            yield from [Call(f"cognito-idp:{operation}", "people")] * (operation not in WITH_ACCESS_TOKEN)
        case "iot" | "iot-data":
            shadow = params.get("shadowName", "")
            what = f"any shadow `{shadow}`" if shadow else IOT.get(operation, "anything")
            yield Call(f"iot:{operation}", what)
            yield from [Call(f"iot:{operation}", "any thing")] * (operation == "CreateJob")  # its targets
        case "sagemaker-runtime":
            yield Call(f"sagemaker:{operation}", params["EndpointName"])
        case "apigatewaymanagementapi":
            what = "any socket's end" if operation == "DeleteConnection" else "any socket"
            yield Call("execute-api:ManageConnections", what)
        case _:
            yield Call(f"{service}:{operation}", WITHOUT_RESOURCES.get(service, "unknown"))


WITHOUT_RESOURCES = {"cloudwatch": "anything"}
# Cognito evaluates no IAM policy. Source: Amazon Cognito user pools API reference, VerifySoftwareToken.
WITH_ACCESS_TOKEN = ("AssociateSoftwareToken", "VerifySoftwareToken")
S3 = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
}
IOT = {
    **dict.fromkeys(["CreateThing", "DeleteThing", "DescribeThing", "ListThingPrincipals"], "any thing"),
    **dict.fromkeys(["UpdateCertificate", "AttachPolicy", "DetachPolicy"], "any certificate"),
    "DescribeCertificate": "any certificate",
    **dict.fromkeys(["AttachThingPrincipal", "DetachThingPrincipal"], "any certificate"),
    "DeleteConnection": "any client",
    **dict.fromkeys(["CreateJob", "CancelJob", "ListJobExecutionsForJob"], "any job of the environment"),
    **dict.fromkeys(["SearchIndex", "GetStatistics"], "the fleet index"),
    **dict.fromkeys(["GetPercentiles", "GetBucketsAggregation"], "the fleet index"),
}


@contextmanager
def account() -> Iterator[Account]:
    """Return an empty account with the resources of the stacks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    own = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": REGION}
    here = Account()
    with mock.patch.dict(os.environ, kept | own, clear=True), mock_aws():
        os.environ |= provision()
        with fresh_clients(here.session):
            yield here


@contextmanager
def fresh_clients(session: Callable[[], boto3.Session]) -> Iterator[None]:
    """Make `anc.aws` create its clients from this session."""
    caches = [getattr(clients, name) for name in CLIENTS]
    with mock.patch.object(clients, "_session", session):
        for cached in caches:
            cached.cache_clear()
        try:
            yield
        finally:
            for cached in caches:
                cached.cache_clear()


def provision() -> dict[str, str]:
    """Create the resources of the stacks and return the functions' environment variables."""
    client = session_here().client
    dynamodb, sqs, s3, cognito = (client(name) for name in ("dynamodb", "sqs", "s3", "cognito-idp"))
    made = {variable(name): _table(name, dynamodb) for name in TABLE_NAMES}
    for route in QUEUES:
        made[f"{route.name.upper()}_QUEUE_URL"] = sqs.create_queue(QueueName=route.name)["QueueUrl"]
    s3.create_bucket(Bucket="objects", CreateBucketConfiguration={"LocationConstraint": REGION})
    client("iot").create_policy(policyName="headset", policyDocument="{}")
    client("iot").create_thing_type(thingTypeName="headset")
    pool, app = _people(cognito)
    return made | {
        "OBJECTS_BUCKET": "objects",
        "ALERTS_TOPIC": client("sns").create_topic(Name="alerts")["TopicArn"],
        "THING_POLICY": "headset",
        "THING_TYPE": "headset",
        "ENVIRONMENT": "dev",
        "THINGS_ARN": f"arn:aws:iot:{REGION}:{DEFAULT_ACCOUNT_ID}:thing/",
        "PEOPLE_POOL": pool,
        "PEOPLE_CLIENT": app,
        "SOCKETS_ENDPOINT": "https://sockets.example/dev",
    }


def _table(name: str, dynamodb: Any) -> str:
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": "S"} for key in ("key", *INDEXES.values())
        ],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": attribute, "KeyType": "HASH"},
                    {"AttributeName": "key", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, attribute in INDEXES.items()
        ],
    )
    return name


def _people(cognito: Any) -> tuple[str, str]:
    pool = cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])["UserPool"]["Id"]
    for role in get_args(Role):
        cognito.create_group(UserPoolId=pool, GroupName=role)
    app = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="client", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    return pool, app
