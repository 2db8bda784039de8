"""A call that fails delays work and never loses it; a counter, the fleet or a notice does not even delay it.

Every flow runs once for each call that it makes to a table, queue, bucket or service, with a fault in that
call: on one machine it is throttled as by SQLite that is locked for too long; on AWS it is refused, or takes
effect while its answer is lost, which boto3 repeats or gives up.
"""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.retries.standard import ExponentialBackoff
from moto.core.models import botocore_stubber

from anc.aws import clients
from anc.aws.counters import DynamoCounters
from anc.aws.dependencies import aws_dependencies
from anc.aws.rate_limits import DynamoLimits
from anc.ports import Dependencies, SessionCache, StorageUnavailable
from anc.read_cache import ReadCache
from anc.services.sound import job_processing, report_plot
from anc.tables import TABLES
from local.storage.counters import SqliteCounters
from local.storage.database import Database
from tests.aws_limits import refusal
from tests.contract.flows import FLOWS, Flow
from tests.fakes import Clock, make_dependencies
from tests.infra.account import account, fresh_clients

# Of these nothing else may depend: totals, limits, the fleet, watchers, and a second opinion.
SQLITE_OPTIONAL = ("counters.", "limits.", "fleets.", "sockets.", "reclassifications.", "statuses.")
SLOW = ("recording", "timed out")
READS = ("Get", "BatchGet", "Head", "List", "Query", "Describe")
AWS_OPTIONAL = ("counters", "limits", "fleets", "statuses", "reclassifications", "PostToConnection")


class Edition(Protocol):
    """A platform of which one call is throttled.

    Attributes
    ----------
    calls : list of str
        The calls since `throttle`.
    """

    calls: list[str]

    def prepare(self, thing: str) -> None:
        """Create what the edition needs for a flow."""

    def deps(self) -> Dependencies:
        """Return dependencies without cached records, as after a cold start."""

    def throttle(self, number: int) -> None:
        """Throttle the call with this number from now on, counted from 0; a negative one throttles none."""

    def is_optional(self, call: str) -> bool:
        """Return whether a flow must succeed although this call is throttled."""


class Calls:
    """Counts calls, and fails one of them."""

    def prepare(self, thing: str) -> None:
        """Create what the edition needs for a flow."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._number = -1

    def throttle(self, number: int) -> None:
        self.calls, self._number = [], number

    def fails(self, call: str) -> bool:
        self.calls.append(call)
        return len(self.calls) - 1 == self._number


class OneMachine(Calls):
    """Local storage behind proxies."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        clock = Clock()
        platform = make_dependencies(folder, clock, ml_confidence_threshold=1.0)
        platform.endpoint.response = b"{}"
        names = [spec.name for spec in TABLES]
        names += ["updates", "recordings", "reclassifications", "shadows", "sockets", "objects", "counters"]
        proxies = {name: PortProxy(name, getattr(platform.deps, name), self) for name in names}
        self._deps = dataclasses.replace(platform.deps, **proxies)

    def deps(self) -> Dependencies:
        return dataclasses.replace(
            self._deps, session_cache=SessionCache(), read_cache=ReadCache(), fleet_cache=ReadCache()
        )

    def is_optional(self, call: str) -> bool:
        return call.startswith(SQLITE_OPTIONAL)


class PortProxy:
    """A port whose calls are counted."""

    def __init__(self, name: str, port: Any, calls: Calls) -> None:
        self._name, self._port, self._calls = name, port, calls

    def __getattr__(self, method: str) -> Any:
        value = getattr(self._port, method)
        if not callable(value):
            return value

        def call(*args: Any, **options: Any) -> Any:
            if self._calls.fails(f"{self._name}.{method}"):
                raise sqlite3.OperationalError("database is locked")
            return value(*args, **options)

        return call


class OnAws(Calls):
    """An account on moto with a fault in a call. It has shadows of registered things only.

    Attributes
    ----------
    kind : {"throttled", "timed out", "repeated"}
        The call is refused; it takes effect, and the answers to all attempts are lost; or only the first one.
    """

    def __init__(self, session: Callable[[], Any]) -> None:
        super().__init__()
        self.kind = "throttled"
        self._session, self._failing = session, False

    def prepare(self, thing: str) -> None:
        clients.iot().create_thing(thingName=thing)

    def session(self) -> Any:
        session = self._session()
        session.events.register("provide-client-params.*.*", self._note)
        session.events.register_first("before-call", self._refuse)
        session.events.register_first("before-send", self._lose)
        return session

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        named = params.get("TableName") or params.get("QueueUrl") or params.get("Key") or ""
        named = named or ", ".join(params.get("RequestItems", ()))
        named = named.rpartition("/")[2] if "QueueUrl" in params else named
        self._failing = self.fails(f"{model.name} {named}")

    def _refuse(self, **_: Any) -> Any:
        return refusal(400, "ThrottlingException") if self._failing and self.kind == "throttled" else None

    def _lose(self, request: Any, event_name: str, **_: Any) -> None:
        if self._failing:
            botocore_stubber(event_name, request)
            self._failing = self.kind == "timed out"
            raise ReadTimeoutError(endpoint_url=request.url)

    def deps(self) -> Dependencies:
        return aws_dependencies.__wrapped__()

    def is_optional(self, call: str) -> bool:
        operation, named = call.split(" ", 1)
        return operation in AWS_OPTIONAL or named in AWS_OPTIONAL


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> OneMachine:
    return OneMachine(tmp_path_factory.mktemp("throttles"))


@pytest.fixture(scope="module")
def account_on_aws() -> Iterator[OnAws]:
    with account() as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ENDPOINT_NAME", "anc-dev")
        patch.setenv("ML_CONFIDENCE_THRESHOLD", "1.0")
        edition = OnAws(here.limits.session)
        with fresh_clients(edition.session):
            yield edition


@pytest.fixture
def on_aws(account_on_aws: OnAws) -> OnAws:
    account_on_aws.kind = "throttled"
    return account_on_aws


def attempt(flow: Flow, deps: Dependencies, name: str) -> bool:
    try:
        return flow.run(deps, name)
    except (ClientError, StorageUnavailable, sqlite3.OperationalError):
        return False


def throttled(flow: Flow, here: Edition, name: str, number: int) -> list[str]:
    """Run a flow with one call throttled, repeat it if it failed, and return the calls of the first run."""
    here.prepare(name)
    flow.prepare(here.deps(), name)
    here.throttle(number)
    done = attempt(flow, here.deps(), name)
    calls, repeated = here.calls, getattr(here, "kind", "") == "repeated"
    here.throttle(-1)
    if number >= 0:
        optional = repeated or (here.is_optional(calls[number]) and flow.essential not in calls[number])
        assert done or not optional, f"{calls[number]} failed the flow"
    assert done or attempt(flow, here.deps(), name), f"not repaired by a repetition: {calls[number]}"
    return calls


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_processing, "classifier", lambda settings: None)  # slow, and makes no calls
    monkeypatch.setattr(report_plot, "plot_report", lambda report: b"plot")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["timed out", "repeated"])
@pytest.mark.parametrize("name", FLOWS)
def test_work_is_done_once_when_the_answer_to_a_write_is_lost(name: str, kind: str, on_aws: OnAws) -> None:
    if (name, kind) == SLOW:
        pytest.skip("tests.faults injects it into the same service")
    flow, unique = FLOWS[name], f"{name} {kind} {{}}".replace(" ", "-").format
    calls = throttled(flow, on_aws, unique("free"), -1)
    expected = flow.result(on_aws.deps(), unique("free"))
    on_aws.kind = kind
    for number, call in enumerate(calls):
        if call.startswith(READS) or call in calls[:number]:
            continue
        throttled(flow, on_aws, unique(number), number)
        assert flow.result(on_aws.deps(), unique(number)) == expected, call


@pytest.mark.thorough
@pytest.mark.parametrize("edition", ["one_machine", "on_aws"])
@pytest.mark.parametrize("name", FLOWS)
def test_work_survives_a_throttle_of_any_call(
    name: str, edition: str, request: pytest.FixtureRequest
) -> None:
    here: Edition = request.getfixturevalue(edition)
    flow = FLOWS[name]
    unique = f"{name.replace(' ', '-')}-{{}}".format
    calls = throttled(flow, here, unique("free"), -1)
    expected = flow.result(here.deps(), unique("free"))
    for number, call in enumerate(calls):
        if edition == "on_aws" and call in calls[:number]:
            continue  # the other edition repeats them
        throttled(flow, here, unique(number), number)
        assert flow.result(here.deps(), unique(number)) == expected, call
    assert len(calls) >= 2


def test_the_flows_use_every_optional_port(one_machine: OneMachine) -> None:
    used = set()
    for name in ("snapshot", "refused snapshot", "delivery"):
        FLOWS[name].prepare(one_machine.deps(), f"all-{name}")
        one_machine.throttle(-1)
        assert attempt(FLOWS[name], one_machine.deps(), f"all-{name}")
        used |= {call.partition(".")[0] for call in one_machine.calls}
    assert used >= {"counters", "fleets", "sockets", "reclassifications", "statuses"}


def test_totals_that_could_not_be_written_on_aws_are_written_later() -> None:
    items: dict[str, dict[str, str]] = {}
    broken = [True]

    class Client:
        def update_item(self, **params: Any) -> None:
            if broken:
                raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")
            (name,) = params["ExpressionAttributeNames"].values()
            (amount,) = params["ExpressionAttributeValues"].values()
            items[params["Key"]["key"]["S"]] = {name: amount}

        def batch_get_item(self, **_: Any) -> dict[str, Any]:
            return {"Responses": {"counters": [*items.values()]}, "UnprocessedKeys": {}}

    totals = DynamoCounters("counters", Client, clock=lambda: 0.0)  # type: ignore[arg-type]
    for _ in range(3):
        totals.add("blocks")
    with pytest.raises(ClientError):
        totals.read()
    broken.clear()
    assert totals.read() == {"blocks": 3}


def test_totals_that_could_not_be_written_on_one_machine_are_written_later(tmp_path: Path) -> None:
    database = Database(tmp_path / "anc.db")
    local = SqliteCounters(database)
    database.connection.execute("ALTER TABLE counters RENAME TO elsewhere")
    local.add("blocks", 2)
    local.flush()
    database.connection.execute("ALTER TABLE elsewhere RENAME TO counters")
    assert local.read() == {"blocks": 2}


def test_while_the_table_of_limits_is_throttled_each_instance_limits_by_itself() -> None:
    class Throttled:
        class exceptions:  # noqa: N801  as in boto3
            ConditionalCheckFailedException = KeyError

        def update_item(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    limits = DynamoLimits("limits", Throttled)  # type: ignore[arg-type]
    waits = [limits.wait_s("POST /api/auth/token", "address 192.0.2.1", per_minute=2) for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert 1 <= waits[2] <= 60
