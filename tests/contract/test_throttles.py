"""A throttled call delays work and never loses it; a counter, the fleet or a notice does not even delay it.

Every flow runs once for each call that it makes to a table, queue, bucket or service, with that call
throttled: on AWS as the API answers, on one machine as SQLite does when it is locked for too long.
"""

import base64
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
import pytest
from botocore.exceptions import ClientError

from anc.aws import clients
from anc.aws.counters import DynamoCounters
from anc.aws.dependencies import aws_dependencies
from anc.aws.rate_limits import DynamoLimits
from anc.headset_records import Control, Device, SentFilter
from anc.pcm import float_to_int16
from anc.ports import Dependencies, SessionCache
from anc.read_cache import ReadCache
from anc.records import Job, SocketConnection, Stream, Watch
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import Audio
from anc.services.sound import job_processing, report_plot, streaming
from anc.tables import TABLES
from functions.anc_processor.handler import handler as anc_processor
from functions.audio_sender.handler import handler as audio_sender
from functions.recording_processor.handler import handler as recording_processor
from functions.rest_api.handler import handler as rest_api
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from local.storage.counters import SqliteCounters
from local.storage.database import Database
from local.storage.queues import Message, sqs_event
from tests.fakes import ALICE, Clock, make_dependencies
from tests.infra.account import account, fresh_clients
from tests.recordings import sound_file, two_microphones

RATE = 16_000
# Of these nothing else may depend: totals, limits, the fleet, watchers, and a second opinion.
SQLITE_OPTIONAL = ("counters.", "limits.", "fleets.", "sockets.", "reclassifications.", "statuses.")
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
    """An account on moto whose API throttles. It has shadows of registered things only."""

    def __init__(self, session: Callable[[], Any]) -> None:
        super().__init__()
        self._session = session

    def prepare(self, thing: str) -> None:
        clients.iot().create_thing(thingName=thing)

    def session(self) -> Any:
        session = self._session()
        session.events.register("provide-client-params.*.*", self._note)
        return session

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        named = params.get("TableName") or params.get("QueueUrl") or params.get("Key") or ""
        named = named or ", ".join(params.get("RequestItems", ()))
        if self.fails(f"{model.name} {named.rpartition('/')[2] if 'QueueUrl' in params else named}"):
            error = {"Code": "ThrottlingException", "Message": "Rate exceeded"}
            raise ClientError({"Error": error}, model.name)

    def deps(self) -> Dependencies:
        return aws_dependencies.__wrapped__()

    def is_optional(self, call: str) -> bool:
        operation, named = call.split(" ", 1)
        return operation in AWS_OPTIONAL or named in AWS_OPTIONAL


class Flow(NamedTuple):
    """A unit of work, which may be repeated.

    Attributes
    ----------
    prepare : callable
        Stores what exists before.
    run : callable
        Does the work and returns whether it succeeded; an exception means that it did not.
    result : callable
        Returns what the work must have achieved.
    essential : str
        Name of the table that is otherwise optional, and that this work is for.
    """

    prepare: Callable[[Dependencies, str], Any]
    run: Callable[[Dependencies, str], bool]
    result: Callable[[Dependencies, str], Any]
    essential: str = "none"


def consume(handler: Callable[..., Any], deps: Dependencies, message: dict[str, Any]) -> bool:
    event = sqs_event("queue", [Message(1, msgspec.json.encode(message).decode(), 1)])
    return not handler(event, LocalContext("function"), deps)["batchItemFailures"]


def publish(kind: str, thing: str, payload: bytes, deps: Dependencies) -> bool:
    text = base64.b64encode(payload).decode()
    at = int(deps.clock() * 1000)
    return consume(anc_processor, deps, {"kind": kind, "thing": thing, "at": at, "payload": text})


def register(deps: Dependencies, thing: str) -> None:
    secondary = np.array([0.0, 0.0, 0.6, 0.3], "<f4").tobytes()
    deps.devices.put(
        Device(key=thing, group="alice", model=thing, rate=RATE, taps=64, secondary=secondary, created=1.0)
    )


def tone_snapshot() -> bytes:
    """Return a second of low noise, which a filter cancels so well that it is shared with the fleet."""
    kernel = np.sinc(0.1 * np.arange(-40, 41)) * np.hamming(81)
    x = 0.05 * np.convolve(np.random.default_rng(1).standard_normal(RATE), kernel, "same")
    d = np.convolve(x, [0.0] * 9 + [0.6])[: x.size]
    pcm = float_to_int16(np.stack([x, d], axis=1))
    return Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode()


def designed(deps: Dependencies, thing: str) -> Any:
    known = deps.controls.get(thing)
    assert known is not None
    return known.seq, [each.id for each in known.filters], known.noise


def refused(deps: Dependencies, thing: str) -> bool:
    return publish("snapshot", thing, b"nonsense", deps)


def reported(deps: Dependencies, thing: str) -> Any:
    known = deps.telemetry.get(thing)
    assert known is not None
    return known.report, [each.report for each in deps.history.list(f"{thing}#1000")]


def watched(deps: Dependencies, thing: str) -> None:
    register(deps, thing)
    sent = SentFilter.of(np.ones(64, "<f2").tobytes(), 1, RATE, 10.0)
    deps.controls.put(Control(key=thing, group="alice", seq=1, filters=(sent,)))
    deps.connections.put(SocketConnection(key=f"socket-{thing}", group="alice", role="listener"))
    deps.watches.put(Watch(key=f"{thing}#1", group=thing, connection=f"socket-{thing}", registered=1.0))


def deliver(deps: Dependencies, thing: str) -> bool:
    return consume(audio_sender, deps, {"kind": "control_changed", "thing": thing})


def delivered(deps: Dependencies, thing: str) -> Any:
    shadow = deps.shadows.get(thing)
    assert shadow is not None
    return shadow["state"]["desired"]["filter"]["id"]


def streamed(deps: Dependencies, session: str) -> bool:
    block = Audio(session=session, seq=0, pcm=base64.b64encode(bytes(4 * 1600)).decode())
    return streaming.filter_block(block, ALICE, deps).seq == 0


def begun(deps: Dependencies, session: str) -> None:
    deps.streams.put(
        Stream(key=session, group="alice", mode="cancel", rate=RATE, channels=2, taps=64, mu=0.5, created=1.0)
    )


def filtered(deps: Dependencies, session: str) -> Any:
    known = deps.streams.get(session)
    assert known is not None
    return known.seq, known.blocks, known.samples


def recorded(deps: Dependencies, job: str) -> None:
    file = sound_file(two_microphones(0.3))
    deps.jobs.put(Job(key=job, group="alice", size=len(file), created=deps.clock()))
    deps.objects.put(f"uploads/{job}", file)


def process(deps: Dependencies, job: str) -> bool:
    return consume(recording_processor, deps, {"kind": "recording_waiting", "job": job})


def finished(deps: Dependencies, job: str) -> Any:
    known = deps.jobs.get(job)
    assert known is not None
    return known.state, deps.objects.get(f"results/{job}/cleaned.wav")


def connected(deps: Dependencies, thing: str) -> bool:
    event = {"clientId": thing, "timestamp": 2000, "eventType": "connected", "sessionIdentifier": "s"}
    return publish("presence", thing, msgspec.json.encode(event), deps)


def online(deps: Dependencies, thing: str) -> Any:
    known = deps.statuses.get(thing)
    assert known is not None
    return known.online


def measured(deps: Dependencies, thing: str) -> bool:
    path = {"secondary": [0.0, 0.5, 0.1], "rate": RATE, "played": "probe", "fit_db": 21.0}
    return publish("path", thing, msgspec.json.encode(path), deps)


def path_of(deps: Dependencies, thing: str) -> Any:
    device = deps.devices.get(thing)
    assert device is not None
    return device.secondary


def requested(deps: Dependencies, session: str) -> bool:
    who = {"principalId": "alice", "user": "alice", "role": "listener"}
    path = f"/api/sessions/{session}"
    event = rest_event(
        "GET", "/api/sessions/{id}", path, {"id": session}, {}, {}, None, False, who, "192.0.2.1"
    )
    return bool(rest_api(event, LocalContext("rest_api"), deps)["statusCode"] == 200)


def nothing(deps: Dependencies, name: str) -> None:
    return None


FLOWS = {
    "snapshot": Flow(register, lambda deps, n: publish("snapshot", n, tone_snapshot(), deps), designed),
    "refused snapshot": Flow(register, refused, nothing),
    "telemetry": Flow(register, lambda deps, n: publish("telemetry", n, b'{"battery":0.5}', deps), reported),
    "presence": Flow(register, connected, online, "statuses"),
    "path": Flow(register, measured, path_of),
    "request": Flow(begun, requested, nothing),
    "delivery": Flow(
        watched,
        lambda deps, n: consume(audio_sender, deps, {"kind": "control_changed", "thing": n}),
        delivered,
    ),
    "live block": Flow(begun, streamed, filtered),
    "recording": Flow(recorded, process, finished),
}


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> OneMachine:
    return OneMachine(tmp_path_factory.mktemp("throttles"))


@pytest.fixture(scope="module")
def on_aws() -> Iterator[OnAws]:
    with account() as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ENDPOINT_NAME", "anc-dev")
        patch.setenv("ML_CONFIDENCE_THRESHOLD", "1.0")
        edition = OnAws(here.limits.session)
        with fresh_clients(edition.session):
            yield edition


def attempt(flow: Flow, deps: Dependencies, name: str) -> bool:
    try:
        return flow.run(deps, name)
    except (ClientError, sqlite3.OperationalError):
        return False


def throttled(flow: Flow, here: Edition, name: str, number: int) -> list[str]:
    """Run a flow with one call throttled, repeat it if it failed, and return the calls of the first run."""
    here.prepare(name)
    flow.prepare(here.deps(), name)
    here.throttle(number)
    done = attempt(flow, here.deps(), name)
    calls = here.calls
    here.throttle(-1)
    if number >= 0:
        optional = here.is_optional(calls[number]) and flow.essential not in calls[number]
        assert done or not optional, f"{calls[number]} failed the flow"
    assert done or attempt(flow, here.deps(), name), f"not repaired by a repetition: {calls[number]}"
    return calls


@pytest.mark.parametrize("edition", ["one_machine", "on_aws"])
@pytest.mark.parametrize("name", FLOWS)
def test_work_survives_a_throttle_of_any_call(
    name: str, edition: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_processing, "classifier", lambda settings: None)  # slow, and makes no calls
    monkeypatch.setattr(report_plot, "plot_report", lambda report: b"plot")
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
