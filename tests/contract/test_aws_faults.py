"""Every port on AWS, with every temporary fault: it is named, answered with 503, or without effect."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
)
from botocore.retries.standard import ExponentialBackoff

from anc.aws import clients, objects
from anc.aws.faults import NoAnswer
from anc.fleet_records import FleetQuery
from anc.ports import Dependencies, EndpointUnavailable, ObjectInfo, StorageUnavailable
from anc.records import Job
from anc.schemas.messages import ControlChanged
from functions.authorizer.handler import handler as authorizer
from functions.classifier.handler import handler as classifier
from functions.rest_api.handler import handler as rest_api
from functions.ws_connect.handler import handler as ws_connect
from local.lambda_context import LocalContext
from local.lambda_events import authorizer_event, handshake_event, rest_event, socket_event
from tests.aws_limits import refusal, session_here
from tests.infra.account import ALICE, Account, account, fresh_clients

CERTIFICATE = "ab" * 32
URL = "https://service.example"
JOB = Job(key="j1", group="alice", size=1, created=1.0)
# What boto3 raises, or the status and code of an answer. The codes are those of the services' API references.
FAULTS: dict[str, Exception | tuple[int, str]] = {
    "connect timeout": ConnectTimeoutError(endpoint_url=URL),
    "no connection": EndpointConnectionError(endpoint_url=URL),
    "read timeout": ReadTimeoutError(endpoint_url=URL),
    "connection closed": ConnectionClosedError(endpoint_url=URL),
    "internal error": (500, "InternalServerError"),
    "slow down": (503, "SlowDown"),
    "throttled": (400, "ThrottlingException"),
    "throughput exceeded": (400, "ProvisionedThroughputExceededException"),
    "too many requests": (429, "TooManyRequestsException"),
    "limit of requests": (400, "RequestLimitExceeded"),
}
PORTS: dict[str, Callable[[Dependencies], Any]] = {
    "table, get": lambda deps: deps.jobs.get("j1"),
    "table, put": lambda deps: deps.jobs.put(JOB),
    "table, delete": lambda deps: deps.jobs.delete("j1"),
    "table, list": lambda deps: deps.jobs.list("alice"),
    "queue, send": lambda deps: deps.updates.send(ControlChanged("left")),
    "objects, put": lambda deps: deps.objects.put("a", b"1"),
    "objects, get": lambda deps: deps.objects.get("a"),
    "objects, delete": lambda deps: deps.objects.delete("a"),
    "objects, info": lambda deps: deps.objects.info("a"),
    "objects, begin": lambda deps: deps.objects.begin("a"),
    "objects, put_part": lambda deps: deps.objects.put_part("a", "u", 1, b"1"),
    "objects, stored_parts": lambda deps: deps.objects.stored_parts("a", "u"),
    "objects, finish": lambda deps: deps.objects.finish("a", "u"),
    "objects, abandon": lambda deps: deps.objects.abandon("a", "u"),
    "shadows, get": lambda deps: deps.shadows.get("left"),
    "shadows, update": lambda deps: deps.shadows.update("left", {"mode": "bypass"}),
    "things, create": lambda deps: deps.things.create("left"),
    "things, certificates": lambda deps: deps.things.certificates("left"),
    "things, activate": lambda deps: deps.things.activate("left", CERTIFICATE),
    "things, revoke": lambda deps: deps.things.revoke("left", [CERTIFICATE]),
    "things, remove": lambda deps: deps.things.remove("left"),
    "users, sign_in": lambda deps: deps.users.sign_in("ada", "secret"),
    "users, get": lambda deps: deps.users.get("u1"),
    "users, list": lambda deps: deps.users.list(),
    "users, delete": lambda deps: deps.users.delete("u1"),
    "fleet index, count": lambda deps: deps.fleet_index.count(FleetQuery()),
    "jobs, executions": lambda deps: deps.headset_jobs.executions("r1"),
    "counters, read": lambda deps: deps.counters.read(),
    "counters, durations": lambda deps: deps.counters.durations(0.0, 60.0, 60.0),
}


class FaultyAccount:
    """An account of which every call has the same fault."""

    def __init__(self, here: Account) -> None:
        self._here = here
        self.fault: Exception | tuple[int, str] | None = None

    def session(self) -> Any:
        session = session_here()
        session.events.register_first("before-call", self._answer)
        session.events.register_first("before-send", self._raise)
        return session

    def _answer(self, **_: Any) -> Any:
        return refusal(*self.fault) if isinstance(self.fault, tuple) else None

    def _raise(self, **_: Any) -> None:
        if isinstance(self.fault, Exception):
            raise self.fault


@pytest.fixture(scope="module")
def accounts() -> Iterator[FaultyAccount]:
    with account() as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ENDPOINT_NAME", "anc-dev")
        patch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
        faulty = FaultyAccount(here)
        with fresh_clients(faulty.session):
            here.deps.objects.put("a", b"0123456789")
            yield faulty


@pytest.fixture
def deps(accounts: FaultyAccount) -> Iterator[Dependencies]:
    yield accounts._here.deps
    accounts.fault = None


@pytest.mark.parametrize("fault", FAULTS)
def test_every_port_names_a_fault_that_passes(
    fault: str, accounts: FaultyAccount, deps: Dependencies
) -> None:
    accounts.fault = FAULTS[fault]
    went_on = []
    for name, call in PORTS.items():
        with suppress(StorageUnavailable):
            went_on.append(f"{name}: {call(deps)}")
    assert went_on == []


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_best_effort_fails_nothing_else(
    fault: str, accounts: FaultyAccount, deps: Dependencies
) -> None:
    accounts.fault = FAULTS[fault]
    deps.counters.add("snapshots")
    deps.alerts.publish("subject", "text")
    assert deps.limits.wait_s("reads", "alice", 10) == 0
    assert deps.limits.wait_s("reads", "alice", 10, 10) > 0  # this instance still counts
    with pytest.raises(EndpointUnavailable):
        deps.endpoint.invoke(b"{}")
    with deps.best_effort("notices_failed", "notice"):
        deps.sockets.post("c1", "{}")


def request(deps: Dependencies, handler: Any, method: str, path: str, body: str | None) -> tuple[int, Any]:
    who = ALICE | {"since": "2e9"}
    event = rest_event(method, path, path, {}, {}, {}, body, False, who, "192.0.2.1")
    answer = handler(event, LocalContext("function"), deps)
    return answer["statusCode"], answer


@pytest.mark.parametrize("fault", FAULTS)
def test_requests_and_sockets_are_refused_with_a_time_to_wait(
    fault: str, accounts: FaultyAccount, deps: Dependencies
) -> None:
    accounts.fault = FAULTS[fault]
    connect = socket_event("CONNECT", "$connect", "c1", 0.0, ALICE, headers={})
    for status, answer in (
        request(deps, rest_api, "GET", "/api/sessions", None),
        request(deps, rest_api, "POST", "/api/sessions", "{}"),
        request(deps, classifier, "POST", "/api/audio/classify", "RIFF"),
        (503, ws_connect(connect, LocalContext("ws_connect"), deps)),
    ):
        assert (status, answer["statusCode"]) == (503, 503)
        assert json.loads(answer["body"])["code"] == "unavailable"
        assert answer["multiValueHeaders"]["Retry-After"] == [str(NoAnswer.wait_s)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("of", ["request", "handshake"])
def test_a_key_that_cannot_be_looked_up_is_not_refused_as_invalid(
    of: str, fault: str, accounts: FaultyAccount, deps: Dependencies
) -> None:
    """API Gateway answers 401 to the text `Unauthorized` only; see `infra.rest` for any other."""
    accounts.fault = FAULTS[fault]
    headers = {"X-Api-Key": "anc_0123_secret"}
    event = authorizer_event("GET", "/api/me", headers) if of == "request" else handshake_event(headers)
    with pytest.raises(NoAnswer) as raised:
        authorizer(event, LocalContext("authorizer"), deps)
    assert str(raised.value) != "Unauthorized"


class Truncated:
    """A body that ends too early."""

    def __init__(self, fault: Exception | None) -> None:
        self._fault = fault

    def read(self) -> bytes:
        if self._fault:
            raise self._fault
        return b""


@pytest.mark.parametrize(
    "fault",
    [
        IncompleteReadError(actual_bytes=3, expected_bytes=10),
        ReadTimeoutError(endpoint_url=URL),
        None,
    ],
)
def test_a_file_that_arrives_in_part_is_not_taken_for_the_whole(
    fault: Exception | None, deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients.s3()
    monkeypatch.setattr(client, "get_object", lambda **_: {"Body": Truncated(fault)})
    ranges = objects._RangeReader(client, "bucket", "a", ObjectInfo(10, "e1"))
    with pytest.raises(NoAnswer):
        ranges.readinto(bytearray(10))
    if fault:
        with pytest.raises(NoAnswer):
            deps.objects.get("a")


class Batches:
    """DynamoDB that leaves keys for further requests."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((table, request),) = RequestItems.items()
        taken = self._answers.pop(0)
        left = request["Keys"][taken:]
        unprocessed = {table: {"Keys": left}} if left else {}
        return {"Responses": {table: request["Keys"][:taken]}, "UnprocessedKeys": unprocessed}


def test_keys_that_were_not_processed_are_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(clients.time, "sleep", waits.append)
    get = partial(clients.batch_get, request={"t": {"Keys": list("abcde")}})
    assert get(Batches(2, 0, 2, 1)) == {"t": list("abcde")}  # type: ignore[arg-type]
    assert len(waits) == 1
    with pytest.raises(NoAnswer):
        get(Batches(2, 0, 0, 0, 0, 0))  # type: ignore[arg-type]
    assert waits[1:] == sorted(waits[1:])
