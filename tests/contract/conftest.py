"""Every adapter of every port, in a world of its own, with what a test needs to look behind it."""

import asyncio
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import boto3
import pytest
from moto import mock_aws

from anc.aws import clients
from anc.aws.counters import DynamoCounters
from anc.aws.endpoint import SageMakerEndpoint
from anc.aws.objects import S3Objects
from anc.aws.people import CognitoPeople
from anc.aws.queues import SqsQueue
from anc.aws.rate_limits import DynamoLimits
from anc.aws.shadows import IotShadows
from anc.aws.signing_keys import JwksSigningKeys
from anc.aws.sockets import GatewaySockets
from anc.aws.tables import DynamoTable
from anc.aws.things import IotThings
from anc.records import Role, Stream
from anc.settings import Settings
from local.auth.certificates import Authority
from local.auth.issuer import Issuer
from local.auth.people import LocalPeople
from local.http.gateway import LocalSockets
from local.ml_endpoint import HttpEndpoint
from local.mqtt.shadows import LocalShadows
from local.mqtt.things import LocalThings
from local.storage.counters import SqliteCounters
from local.storage.database import Database
from local.storage.objects import FileObjects
from local.storage.queues import SqliteQueue
from local.storage.rate_limits import MemoryLimits
from local.storage.tables import SqliteTable
from tests.aws_limits import REGION, StrictAws
from tests.processes import PATIENCE_S

THING = "headset-1"


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def strict() -> StrictAws:
    """Give what moto does not refuse or do."""
    return StrictAws()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, strict: StrictAws) -> Iterator[Any]:
    """Give `aws("sqs")`: clients of an account on moto. Real credentials, if any, are out of reach."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield strict.session().client


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "anc.sqlite")


@pytest.fixture
def streams_on_aws(aws: Any, clock: Clock) -> DynamoTable[Stream]:
    """Give a table of streams on DynamoDB."""
    client = aws("dynamodb")
    client.create_table(
        TableName="streams",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("key", "group")],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_group",
                "KeySchema": [
                    {"AttributeName": "group", "KeyType": "HASH"},
                    {"AttributeName": "key", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    return DynamoTable("streams", Stream, lambda: client, clock)


@pytest.fixture(params=["dynamodb", "sqlite"])
def streams(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """Give a table of streams."""
    if request.param == "sqlite":
        return SqliteTable(request.getfixturevalue("database"), "streams", Stream, clock)
    return request.getfixturevalue("streams_on_aws")


@pytest.fixture(params=["sqs", "sqlite"])
def queue(request: pytest.FixtureRequest) -> Any:
    """Give `.port`, and `.receive(wait_s)`, which returns the bodies that are due within that time."""
    if request.param == "sqlite":
        clock = request.getfixturevalue("clock")
        kept = SqliteQueue(request.getfixturevalue("database"), "updates", clock=clock)

        def receive(wait_s: float) -> list[Any]:
            clock.now += wait_s
            return [json.loads(message.body) for message in kept.receive(10)]

        return SimpleNamespace(port=kept, receive=receive)
    client = request.getfixturevalue("aws")("sqs")
    url = client.create_queue(QueueName="updates")["QueueUrl"]

    def receive_sqs(wait_s: float) -> list[Any]:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=int(wait_s))
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return SimpleNamespace(port=SqsQueue(url, lambda: client), receive=receive_sqs)


@pytest.fixture(params=["s3", "files"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give a store of files."""
    if request.param == "files":
        return FileObjects(tmp_path / "objects")
    client = request.getfixturevalue("aws")("s3")
    client.create_bucket(Bucket="anc", CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3Objects("anc", lambda: client)


@pytest.fixture(params=["iot", "sqlite"])
def shadows(request: pytest.FixtureRequest) -> Any:
    """Give the shadows of a registry that knows THING."""
    if request.param == "sqlite":
        return LocalShadows(request.getfixturevalue("database"))
    client = request.getfixturevalue("aws")
    client("iot").create_thing(thingName=THING)
    return IotShadows(partial(client, "iot-data"))


class Socket:
    """The server's end of a WebSocket, as the ASGI server hands it over."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed = threading.Event()

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.closed.set()


@contextmanager
def gateway_with_an_open_socket() -> Iterator[Any]:
    """Give LocalSockets, whose socket `open` lives in an event loop of another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    local, socket, noted = LocalSockets(), Socket(), threading.Event()

    def note() -> None:
        local.opened("open", socket)  # type: ignore[arg-type]
        noted.set()

    loop.call_soon_threadsafe(note)
    assert noted.wait(PATIENCE_S)
    try:
        yield SimpleNamespace(
            port=local, sent=lambda connection: socket.sent, closed=lambda: socket.closed.wait(20)
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


@pytest.fixture(params=["apigateway", "gateway"])
def sockets(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give `.port`, where the socket `open` is open and every other closed.

    Beside it `.sent(connection)`, and `.closed()`: whether `open` is closed by now.
    """
    if request.param == "gateway":
        with gateway_with_an_open_socket() as local:
            yield local
        return
    strict = request.getfixturevalue("strict")
    strict.gone = "open".__ne__
    client = request.getfixturevalue("aws")("apigatewaymanagementapi", endpoint_url="https://api/prod")
    port = GatewaySockets("https://api/prod", lambda endpoint: client)
    closed = lambda: strict.closed == ["open"]  # noqa: E731
    yield SimpleNamespace(port=port, sent=strict.sent.__getitem__, closed=closed)


@pytest.fixture(params=["iot", "sqlite"])
def things(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give the registry of headsets, and what there is to see behind it.

    `.port`; `.active(thing, certificate_id)`; `.cut`, the clients thrown out so far; `.sign()`, which returns
    the id of a certificate that was signed for a claim; `.provision(thing, certificate_id)`, what is done
    with such a one once the hook has allowed it, as a list of steps; `.on_call`, which is called before each
    call of AWS.
    """
    if request.param == "sqlite":
        cut: list[str] = []
        kept = LocalThings(request.getfixturevalue("database"), Authority(tmp_path / "ca"), port=8883)
        kept.on_revoked(cut.append)
        serial = itertools.count()
        return SimpleNamespace(
            port=kept,
            active=kept.owns,
            cut=cut,
            on_call=lambda: None,
            sign=lambda: f"{next(serial):064x}",
            provision=lambda thing, certificate: [partial(kept.activate, thing, certificate)],
        )
    client = request.getfixturevalue("aws")
    iot, data = client("iot"), client("iot-data")
    iot.create_policy(policyName="headset", policyDocument="{}")

    def active(thing: str, certificate_id: str) -> bool:
        described = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        attached = {"principal": described["certificateArn"]}
        allowed = iot.list_principal_policies(**attached)["policies"]
        return (
            described["status"] == "ACTIVE"
            and bool(allowed)
            and iot.list_principal_things(**attached)["things"] == [thing]
        )

    def provision(thing: str, certificate_id: str) -> list[Callable[[], object]]:
        described = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        return [
            partial(iot.create_thing, thingName=thing),
            partial(iot.attach_thing_principal, thingName=thing, principal=described["certificateArn"]),
            partial(iot.update_certificate, certificateId=certificate_id, newStatus="ACTIVE"),
        ]

    given = SimpleNamespace(
        on_call=lambda: None,
        port=IotThings("headset", lambda: iot, lambda: data),
        active=active,
        cut=request.getfixturevalue("strict").cut,
        sign=lambda: iot.create_keys_and_certificate(setAsActive=False)["certificateId"],
        provision=provision,
    )
    for each in (iot, data):
        each.meta.events.register("before-call", lambda **_: given.on_call())
    return given


@contextmanager
def published(jwks: dict[str, Any]) -> Iterator[str]:
    """Serve a key set on this machine; gives its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(jwks).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["jwks", "issuer"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Give `.port`, `.token`, signed with the issuer's key, and `.foreign`, signed with another's."""
    issuer, other = Issuer(tmp_path / "issuer", Settings()), Issuer(tmp_path / "other", Settings())
    given = SimpleNamespace(
        port=issuer, token=issuer.issue("u", "listener"), foreign=other.issue("u", "listener")
    )
    if request.param == "issuer":
        yield given
    else:
        with published(issuer.jwks()) as url:
            given.port = JwksSigningKeys(url)
            yield given


@pytest.fixture(params=["cognito", "sqlite"])
def people(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give the people of a pool as the stacks make it: they sign in with e-mail addresses."""
    if request.param == "sqlite":
        return LocalPeople(request.getfixturevalue("database"), Issuer(tmp_path, Settings()))
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
    return CognitoPeople(pool, app, lambda: client)


@pytest.fixture(params=["dynamodb", "sqlite"])
def counters(request: pytest.FixtureRequest) -> Any:
    """Give `counters()`: the totals as one more process has them."""
    if request.param == "sqlite":
        return partial(SqliteCounters, request.getfixturevalue("database"))
    client = request.getfixturevalue("aws")("dynamodb")
    client.create_table(
        TableName="counters",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
    )
    return partial(DynamoCounters, "counters", lambda: client)


@pytest.fixture(params=["dynamodb", "memory"])
def limits(request: pytest.FixtureRequest) -> Any:
    """Give how often callers may call."""
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


class Hearer(ThreadingHTTPServer):
    """An endpoint's server: answers as the test says, and keeps what it was asked.

    moto takes no sound. botocore's own client speaks to this one, so requests and answers are AWS's.
    """

    daemon_threads = True

    def __init__(self, path: str, kind_of_refusal: str) -> None:
        super().__init__(("127.0.0.1", 0), HearerCall)
        self.path, self.kind_of_refusal = path, kind_of_refusal
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, bytes]] = []
        self.let_go = threading.Event()
        self.let_go.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that hang up."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HearerCall(BaseHTTPRequestHandler):
    server: Hearer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == self.server.path
        self.server.asked.append((self.headers["Content-Type"], body))
        self.server.let_go.wait(PATIENCE_S)
        self.send_response(self.server.status)
        if self.server.status != 200:
            self.send_header("x-amzn-errortype", self.server.kind_of_refusal)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def limit_s() -> float:
    """Give how long the endpoint may take."""
    return PATIENCE_S


@pytest.fixture(params=["sagemaker", "http"])
def endpoint(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, limit_s: float
) -> Iterator[Any]:
    """Give `.port`, whose time limit is `limit_s`; `.absent`; and `.server`, which answers."""
    if request.param == "http":
        server = Hearer("/invocations", "")
        port, absent = HttpEndpoint(server.url, limit_s), HttpEndpoint("", limit_s)
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        server = Hearer("/endpoints/hearing/invocations", "ModelError")
        client = boto3.Session(region_name=REGION).client(
            "sagemaker-runtime", config=clients.single_attempt(limit_s), endpoint_url=server.url
        )
        port = SageMakerEndpoint("hearing", limit_s, lambda timeout_s: client)
        absent = SageMakerEndpoint("", limit_s)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    try:
        yield SimpleNamespace(port=port, absent=absent, server=server)
    finally:
        server.let_go.set()
        server.shutdown()
        server.server_close()
