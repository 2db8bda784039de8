"""Fixtures for every adapter of every port, with access to the state behind them."""

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iot.models import iot_backends

from anc.aws import clients
from anc.aws.counters import DynamoCounters
from anc.aws.durations import CloudWatchDurations, metrics
from anc.aws.endpoint import SageMakerEndpoint
from anc.aws.fleet_index import IotFleetIndex
from anc.aws.jobs import IotJobs
from anc.aws.objects import S3Objects
from anc.aws.queues import SqsQueue
from anc.aws.rate_limits import DynamoLimits
from anc.aws.shadows import IotShadows
from anc.aws.signing_keys import JwksSigningKeys
from anc.aws.sockets import GatewaySockets
from anc.aws.tables import DynamoFeed, DynamoTable
from anc.aws.things import IotThings
from anc.aws.users import CognitoUsers
from anc.fleet_records import HeadsetSummary
from anc.memory_limits import MemoryLimits
from anc.records import Emergency, Role, Stream
from anc.schemas.shadow import INDEXED_FIELDS, SUMMARY_FIELDS
from anc.settings import Settings
from local.auth.certificates import Authority
from local.auth.issuer import Issuer
from local.auth.users import LocalUsers
from local.ml_endpoint import HttpEndpoint
from local.mqtt.jobs import LocalJobs
from local.mqtt.shadows import LocalShadows
from local.mqtt.things import LocalThings
from local.storage.counters import SqliteCounters
from local.storage.database import Database
from local.storage.fleet_index import SqliteFleetIndex
from local.storage.objects import FileObjects
from local.storage.queues import SqliteQueue
from local.storage.tables import SqliteTable
from tests.aws_limits import REGION, AwsLimits
from tests.contract.cloudwatch import CloudWatch
from tests.contract.fleet_indexing import FleetIndexing
from tests.contract.iot_jobs import IotJobsService
from tests.contract.servers import EndpointServer, gateway_with_an_open_socket, jwks_server
from tests.processes import PATIENCE_S

SIGN_IN_TIME = 1_700_000_000.0  # for the codes of second factors
THING = "headset-1"


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws_limits() -> AwsLimits:
    """Return the limits and calls that moto lacks."""
    return AwsLimits()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, aws_limits: AwsLimits) -> Iterator[Any]:
    """Yield a factory of clients of an account on moto, as `aws("sqs")`. Real credentials are removed."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield aws_limits.session().client


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "anc.sqlite")


def create_table(client: Any, name: str, indexes: dict[str, str]) -> None:
    """Create a DynamoDB table whose indexes have these partition keys."""
    attributes = ("key", *indexes.values())
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in attributes],
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
            for index, attribute in indexes.items()
        ],
    )


@pytest.fixture
def streams_on_aws(aws: Any, clock: Clock) -> DynamoTable[Stream]:
    """Return a table of streams on DynamoDB."""
    client = aws("dynamodb")
    create_table(client, "streams", {"by_group": "group"})
    return DynamoTable("streams", Stream, lambda: client, clock)


@pytest.fixture(params=["dynamodb", "sqlite"])
def feed(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """Return a table of emergencies, which can be listed together."""
    if request.param == "sqlite":
        return SqliteTable(request.getfixturevalue("database"), "emergencies", Emergency, clock)
    client = request.getfixturevalue("aws")("dynamodb")
    create_table(client, "emergencies", {"by_group": "group", "by_shard": "shard"})
    return DynamoFeed("emergencies", Emergency, lambda: client, clock)


@pytest.fixture(params=["dynamodb", "sqlite"])
def streams(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """Return a table of streams."""
    if request.param == "sqlite":
        return SqliteTable(request.getfixturevalue("database"), "streams", Stream, clock)
    return request.getfixturevalue("streams_on_aws")


@pytest.fixture(params=["sqs", "sqlite"])
def queue(request: pytest.FixtureRequest) -> Any:
    """Return `.port`, and `.receive(wait_s)`, which returns the bodies due within that time."""
    if request.param == "sqlite":
        clock = request.getfixturevalue("clock")
        local = SqliteQueue(request.getfixturevalue("database"), "updates", clock=clock)

        def receive(wait_s: float) -> list[Any]:
            clock.now += wait_s
            return [json.loads(message.body) for message in local.receive(10)]

        return SimpleNamespace(port=local, receive=receive)
    client = request.getfixturevalue("aws")("sqs")
    url = client.create_queue(QueueName="updates")["QueueUrl"]

    def receive_sqs(wait_s: float) -> list[Any]:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=int(wait_s))
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return SimpleNamespace(port=SqsQueue(url, lambda: client), receive=receive_sqs)


@pytest.fixture(params=["s3", "files"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return an object store."""
    if request.param == "files":
        return FileObjects(tmp_path / "objects")
    client = request.getfixturevalue("aws")("s3")
    client.create_bucket(Bucket="anc", CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3Objects("anc", lambda: client)


@pytest.fixture(params=["iot", "sqlite"])
def shadows(request: pytest.FixtureRequest) -> Any:
    """Return the shadows of a registry that contains THING."""
    if request.param == "sqlite":
        return LocalShadows(request.getfixturevalue("database"))
    client = request.getfixturevalue("aws")
    client("iot").create_thing(thingName=THING)
    return IotShadows(partial(client, "iot-data"))


@pytest.fixture
def fleet_indexing(aws: Any) -> FleetIndexing:
    """Return the index of an account with two deployments."""
    for thing_type in ("anc", "other"):
        aws("iot").create_thing_type(thingTypeName=thing_type)
    return FleetIndexing(aws, {SUMMARY_FIELDS + name: kind for name, kind in INDEXED_FIELDS.items()})


@pytest.fixture(params=["iot", "sqlite"])
def fleet_index(request: pytest.FixtureRequest) -> Any:
    """Return `.port` and `.add(summary)`, which also registers the headset and sets its connection."""
    if request.param == "sqlite":
        local = SqliteFleetIndex(request.getfixturevalue("database"))
        return SimpleNamespace(port=local, add=local.update)
    client = request.getfixturevalue("aws")
    indexing = request.getfixturevalue("fleet_indexing")
    port = IotFleetIndex("anc", lambda: indexing, partial(client, "iot-data"))

    def add(summary: HeadsetSummary) -> None:
        client("iot").create_thing(thingName=summary.thing, thingTypeName="anc")
        if summary.online is not None and summary.since:
            state = {"connected": summary.online, "timestamp": int(summary.since * 1000)}
            indexing.connectivity[summary.thing] = state
        port.update(summary)

    return SimpleNamespace(port=port, add=add)


@pytest.fixture(params=["iot", "sqlite"])
def headset_jobs(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """Return `.port` and what headsets do.

    `.register(*things)`; `.start_next(thing)` returns name and document of the job, or two None;
    `.finish(thing, status)` starts and ends the next job.
    """
    if request.param == "sqlite":
        return _local_jobs(request.getfixturevalue("database"), clock)
    iot = request.getfixturevalue("aws")("iot")
    service = IotJobsService(iot, clock)
    arn = f"arn:aws:iot:{REGION}:{DEFAULT_ACCOUNT_ID}:thing/"

    def start_next(thing: str) -> tuple[str | None, Any]:
        job = service.start_next(thing)
        return (job, json.loads(service.document(job))) if job else (None, None)

    return SimpleNamespace(
        port=IotJobs("dev", arn, lambda: service),
        register=lambda *things: [iot.create_thing(thingName=thing) for thing in things],
        start_next=start_next,
        finish=lambda thing, status: service.update(service.start_next(thing), thing, status),
    )


def _local_jobs(database: Database, clock: Clock) -> SimpleNamespace:
    messages: list[tuple[str, Any]] = []
    local = LocalJobs(database, lambda topic, payload: messages.append((topic, json.loads(payload))), clock)

    def start_next(thing: str) -> tuple[str | None, Any]:
        assert local.request(thing, "start-next", b"{}")
        topic, answer = messages.pop()
        assert topic == f"$aws/things/{thing}/jobs/start-next/accepted"
        execution = answer.get("execution", {})
        return execution.get("jobId"), execution.get("jobDocument")

    def finish(thing: str, status: str) -> None:
        job, _ = start_next(thing)
        assert local.request(thing, f"{job}/update", json.dumps({"status": status}).encode())

    return SimpleNamespace(port=local, register=lambda *things: None, start_next=start_next, finish=finish)


@pytest.fixture(params=["apigateway", "gateway"])
def sockets(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield `.port`, where the socket `open` is open and every other socket is closed.

    `.sent(connection)` returns what was sent; `.closed()` returns whether `open` is closed.
    """
    if request.param == "gateway":
        with gateway_with_an_open_socket() as local:
            yield local
        return
    aws_limits = request.getfixturevalue("aws_limits")
    aws_limits.is_gone = "open".__ne__
    client = request.getfixturevalue("aws")("apigatewaymanagementapi", endpoint_url="https://api/prod")
    port = GatewaySockets("https://api/prod", lambda endpoint: client)
    closed = lambda: aws_limits.closed == ["open"]  # noqa: E731
    yield SimpleNamespace(port=port, sent=aws_limits.sent.__getitem__, closed=closed)


@pytest.fixture(params=["iot", "sqlite"])
def things(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return the thing registry and access to its state.

    `.port`; `.attached(thing)`, the certificates of a thing; `.active(thing, certificate_id)`;
    `.disconnected`, the clients disconnected so far; `.sign()`,
    which returns the id of a certificate signed for a claim; `.provision(thing, certificate_id)`, the
    provisioning steps after the hook has allowed a claim; `.on_call`, which runs before each call of AWS.
    """
    if request.param == "sqlite":
        disconnected: list[str] = []
        local = LocalThings(request.getfixturevalue("database"), Authority(tmp_path / "ca"), port=8883)
        local.on_revoked(disconnected.append)
        serial = itertools.count()
        return SimpleNamespace(
            port=local,
            attached=local.certificates,
            active=local.owns,
            disconnected=disconnected,
            on_call=lambda: None,
            sign=lambda: f"{next(serial):064x}",
            provision=lambda thing, certificate: [partial(local.activate, thing, certificate)],
        )
    client = request.getfixturevalue("aws")
    iot, data = client("iot"), client("iot-data")
    iot.create_policy(policyName="headset", policyDocument="{}")
    for thing_type in ("anc", "other"):
        iot.create_thing_type(thingTypeName=thing_type)
    # Read from moto directly: the tests of registrations look after each of some thousand steps.
    registry = iot_backends[DEFAULT_ACCOUNT_ID][REGION]

    def attached(thing: str) -> list[str]:
        return [arn.rpartition("/")[2] for arn, name in registry.principal_things if name == thing]

    def active(thing: str, certificate_id: str) -> bool:
        certificate = registry.certificates[certificate_id]
        return (
            certificate.status == "ACTIVE"
            and bool(registry.list_principal_policies(certificate.arn))
            and registry.list_principal_things(certificate.arn) == [thing]
        )

    def provision(thing: str, certificate_id: str) -> list[Callable[[], object]]:
        described = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        return [
            partial(iot.create_thing, thingName=thing, thingTypeName="anc"),
            partial(iot.attach_thing_principal, thingName=thing, principal=described["certificateArn"]),
            partial(iot.update_certificate, certificateId=certificate_id, newStatus="ACTIVE"),
        ]

    given = SimpleNamespace(
        on_call=lambda: None,
        port=IotThings("headset", "anc", "dev", lambda: iot, lambda: data),
        attached=attached,
        active=active,
        disconnected=request.getfixturevalue("aws_limits").disconnected,
        sign=lambda: iot.create_keys_and_certificate(setAsActive=False)["certificateId"],
        provision=provision,
    )
    for each in (iot, data):
        each.meta.events.register("before-call", lambda **_: given.on_call())
    return given


@pytest.fixture(params=["jwks", "issuer"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Yield `.port`, `.token`, signed with the issuer's key, and `.foreign`, signed with another key."""
    issuer, other = Issuer(tmp_path / "issuer", Settings()), Issuer(tmp_path / "other", Settings())
    given = SimpleNamespace(
        port=issuer, token=issuer.issue("u", "listener"), foreign=other.issue("u", "listener")
    )
    if request.param == "issuer":
        yield given
    else:
        with jwks_server(issuer.jwks()) as url:
            given.port = JwksSigningKeys(url)
            yield given


@pytest.fixture(params=["cognito", "sqlite"])
def users(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return an empty user pool, configured as in the stacks: users sign in with e-mail addresses."""
    if request.param == "sqlite":
        database, issuer = request.getfixturevalue("database"), Issuer(tmp_path, Settings())
        local = LocalUsers(database, issuer, clock=lambda: SIGN_IN_TIME)
        local.ahead_s = 30  # type: ignore[attr-defined]  # it accepts no code twice, but the next one
        return local
    patch = request.getfixturevalue("monkeypatch")
    patch.setenv("MOTO_COGNITO_IDP_USER_POOL_ENABLE_TOTP", "true")
    patch.setattr(
        "moto.cognitoidp.models.verify_totp", lambda totp, code: totp.verify(code, int(SIGN_IN_TIME))
    )
    client = request.getfixturevalue("aws")("cognito-idp")
    pool = client.create_user_pool(
        PoolName="people",
        UsernameAttributes=["email"],
        Policies={"PasswordPolicy": {"MinimumLength": 12}},
    )["UserPool"]["Id"]
    for role in get_args(Role):
        client.create_group(UserPoolId=pool, GroupName=role)
    app = client.create_user_pool_client(
        UserPoolId=pool, ClientName="client", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito = CognitoUsers(pool, app, lambda: client)
    cognito.ahead_s = 0  # type: ignore[attr-defined]  # moto accepts the present code only, and again
    return cognito


@pytest.fixture(params=["dynamodb", "sqlite"])
def counters(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """Return a factory of counters; each call simulates another process."""
    if request.param == "sqlite":
        return partial(SqliteCounters, request.getfixturevalue("database"), clock)
    client = request.getfixturevalue("aws")("dynamodb")
    client.create_table(
        TableName="counters",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
    )
    cloudwatch = request.getfixturevalue("cloudwatch")
    durations = partial(CloudWatchDurations, lambda: cloudwatch)
    return lambda: DynamoCounters("counters", lambda: client, durations=durations())


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    """Return the metrics of an account, and set the variables of a function in it."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "anc")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "anc-rest")
    return CloudWatch()


@pytest.fixture
def measured(counters: Any, clock: Clock, request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Return what measures a duration of an operation, in some process of the platform."""
    totals = counters()
    if isinstance(totals, SqliteCounters):

        def measure_and_write(name: str, seconds: float) -> None:
            totals.time(name, seconds)
            totals.flush()

        return measure_and_write
    cloudwatch = request.getfixturevalue("cloudwatch")

    def measure(name: str, seconds: float) -> None:
        if metric := metrics().get(name):
            value = seconds / metric.unit_s
            cloudwatch.put(metric.namespace, metric.name, metric.dimension, clock.now, value)

    return measure


@pytest.fixture(params=["dynamodb", "memory"])
def limits(request: pytest.FixtureRequest) -> Any:
    """Return the rate limits."""
    if request.param == "memory":
        return MemoryLimits()
    client = request.getfixturevalue("aws")("dynamodb")
    client.create_table(
        TableName="limits",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
    )
    return DynamoLimits("limits", lambda: client)


@pytest.fixture
def limit_s() -> float:
    """Return the time limit of the endpoint."""
    return PATIENCE_S


@pytest.fixture(params=["sagemaker", "http"])
def endpoint(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, limit_s: float
) -> Iterator[Any]:
    """Yield `.port`, with the time limit `limit_s`; `.absent`, without an endpoint; and `.server`."""
    if request.param == "http":
        server = EndpointServer("/invocations", "")
        port, absent = HttpEndpoint(server.url, limit_s), HttpEndpoint("", limit_s)
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        server = EndpointServer("/endpoints/classifier/invocations", "ModelError")
        client = boto3.Session(region_name=REGION).client(
            "sagemaker-runtime", config=clients.single_attempt(limit_s), endpoint_url=server.url
        )
        port = SageMakerEndpoint("classifier", limit_s, lambda timeout_s: client)
        absent = SageMakerEndpoint("", limit_s)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    try:
        yield SimpleNamespace(port=port, absent=absent, server=server)
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
