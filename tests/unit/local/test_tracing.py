"""Traces: one from a snapshot to its shadow, through both queues; nothing secret in them; off by default."""

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from anc.settings import BadSetting, Settings
from anc.tracing import NO_TRACING
from functions.routes import QUEUES
from local.auth.issuer import Issuer
from local.configuration import LaunchSettings
from local.lambda_events import rest_event
from local.public_address import PublicAddress
from local.server import LocalPlatform
from local.storage.database import Database
from local.storage.queues import QueueWorker, SqliteQueue
from local.tracing import OtlpTracing, tracing_of
from tests.unit.functions.test_control_path import RATE, SECONDARY, TAPS, message, snapshot

SECRET = "Bearer%20collector-secret"


class Collector:
    """An OpenTelemetry collector that keeps what it gets."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        resources = [each for request in requests for each in request.resource_spans]
        return [span for each in resources for scope in each.scope_spans for span in scope.spans]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET}")
    running = Collector()
    yield running
    running.stop()


def traced_platform(data: Path, collector: Collector) -> LocalPlatform:
    launch = LaunchSettings(
        otel_exporter_otlp_endpoint=collector.url, anc_traced_fraction=1.0, anc_traced_snapshots=1.0
    )
    return LocalPlatform(data, PublicAddress.of("127.0.0.1", 8080), Settings(), launch=launch)


def process_all(platform: LocalPlatform) -> None:
    """Process the snapshots, then the updates that they caused."""
    for name in ("snapshots", "updates"):
        (route,) = [route for route in QUEUES if route.name == name]
        queue = platform._queues[name]
        QueueWorker(queue, route, partial(platform.invoke, route.function))._deliver(queue.receive(10))


def call(platform: LocalPlatform, token: str, body: dict[str, Any]) -> None:
    event = rest_event(
        "POST",
        "/api/devices",
        "/api/devices",
        {},
        {},
        {"authorization": f"Bearer {token}", "content-type": "application/json"},
        json.dumps(body),
        False,
        {"principalId": "ann", "user": "ann", "role": "listener"},
        "127.0.0.1",
    )
    assert platform.invoke("rest_api", event)["statusCode"] == 201


def test_one_trace_leads_from_a_snapshot_through_both_queues_to_its_shadow(
    tmp_path: Path, collector: Collector
) -> None:
    platform = traced_platform(tmp_path / "data", collector)
    token = Issuer(tmp_path / "data", Settings()).issue("ann", "listener")
    call(platform, token, {"thing": "left", "secondary": SECONDARY, "rate": RATE, "taps": TAPS})
    data = snapshot(1)
    platform._queues["snapshots"].put(message("left", data))
    process_all(platform)
    platform._tracing.stop()

    spans = collector.spans()
    (beginning,) = [span for span in spans if span.name == "send snapshots"]
    path = {span.name: span for span in spans if span.trace_id == beginning.trace_id}
    assert not beginning.parent_span_id
    for child, parent in [
        ("process snapshots", "send snapshots"),
        ("detect", "process snapshots"),
        ("design", "process snapshots"),
        ("commit", "process snapshots"),
        ("send updates", "commit"),
        ("process updates", "send updates"),
        ("update shadow", "process updates"),
    ]:
        assert path[child].parent_span_id == path[parent].span_id, child

    sent = b"".join(collector.bodies)
    secrets = [token.encode(), b"collector-secret", base64.b64encode(data[200:260]), data[200:260]]
    assert not [secret for secret in secrets if secret in sent]
    assert all(headers["authorization"] == "Bearer collector-secret" for headers in collector.headers)
    names = {attribute.key for span in spans for attribute in span.attributes}
    assert names <= {f"anc.{name}" for name in ("thing", "seq", "resource", "method")}


def test_the_message_of_an_exception_is_not_in_a_trace() -> None:
    exporter = InMemorySpanExporter()
    tracing = OtlpTracing(exporter, 1.0)
    with pytest.raises(ValueError, match="token"), tracing.span("rest_api"):
        raise ValueError("token abc")
    tracing.stop()

    (span,) = exporter.get_finished_spans()
    assert span.status.description == "ValueError"
    assert not span.events


def test_attributes_are_those_of_a_list_and_short() -> None:
    exporter = InMemorySpanExporter()
    tracing = OtlpTracing(exporter, 1.0)
    with tracing.span("rest_api", thing="t" * 1000, token="abc"):
        pass
    tracing.stop()

    (span,) = exporter.get_finished_spans()
    assert span.attributes == {"anc.thing": "t" * 128}


def test_a_fraction_of_live_blocks_is_traced_and_only_as_a_whole() -> None:
    exporter = InMemorySpanExporter()
    draws = iter([0.5, 0.005])
    contexts = []
    tracing = OtlpTracing(exporter, 0.01, draw=lambda: next(draws))
    for _ in range(2):
        with tracing.span("audio_receiver"), tracing.span("detect"):
            contexts.append(tracing.context())
    tracing.stop()
    assert [bool(context) for context in contexts] == [False, True]

    assert sorted(span.name for span in exporter.get_finished_spans()) == ["audio_receiver", "detect"]


def test_messages_of_an_earlier_version_are_delivered_without_a_trace(tmp_path: Path) -> None:
    database = Database(tmp_path / "anc.db")
    database.connection.executescript("""
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body TEXT NOT NULL,
            due REAL NOT NULL, receives INTEGER NOT NULL DEFAULT 0,
            thing TEXT NOT NULL DEFAULT '', turn INTEGER NOT NULL DEFAULT 0);
        INSERT INTO messages (queue, body, due) VALUES ('updates', '{"thing": "left"}', 0);
    """)
    (waiting,) = SqliteQueue(database, "updates").receive(10)
    assert (waiting.body, waiting.trace) == ('{"thing": "left"}', "")


def test_tracing_is_off_by_default_and_names_the_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tracing_of(LaunchSettings()) is NO_TRACING

    monkeypatch.setitem(
        __import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    with pytest.raises(BadSetting, match=r"OTEL_EXPORTER_OTLP_ENDPOINT.*anc-platform\[traces\]"):
        tracing_of(LaunchSettings(otel_exporter_otlp_endpoint="http://127.0.0.1:4318"))
