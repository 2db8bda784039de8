"""The log on one machine: JSON lines with the fields of a function on AWS, in a file that is rotated."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_lambda_powertools import Logger
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from anc.tracing import NO_TRACING
from local import logs
from local.lambda_context import LocalContext
from local.tracing import OtlpTracing

ROOT = Path(__file__).parents[3]
SOURCES = (ROOT / "layers/dsp/python/anc", ROOT / "functions", ROOT / "local")
FIELDS = {
    "thing",
    "topic",
    "code",
    "reason",
    "fault",
    "function",
    "queue",
    "pid",
    "message_id",
    "receives",
}  # besides those of Powertools
OPTIONS = {"exc_info", "stack_info", "extra", "stacklevel"}


@pytest.fixture
def function() -> Iterator[Logger]:
    """Return a logger as functions have it."""
    logger = Logger(service="log_test", stream=io.StringIO())
    yield logger
    logger.handlers.clear()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Remove the handlers of `logs.start`, and restore the formatters."""
    before = list(logging.root.handlers)
    formatters = {
        handler: handler.formatter
        for name in logging.root.manager.loggerDict
        for handler in logging.getLogger(name).handlers
    }
    yield
    for handler in set(logging.root.handlers) - set(before):
        logging.root.removeHandler(handler)
        handler.close()
    for handler, formatter in formatters.items():
        handler.setFormatter(formatter)


def written(folder: Path) -> list[dict[str, object]]:
    text = (folder / "log" / "platform.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def report(logger: Logger) -> None:
    """Log as a function does, with an exception."""

    @logger.inject_lambda_context
    def handler(event: dict[str, object], context: LocalContext) -> None:
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("snapshot refused", thing="left", code="clipped")

    handler({}, LocalContext("anc_processor"))


def test_a_line_has_the_same_fields_on_one_machine_and_on_aws(
    tmp_path: Path, function: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lambda_:
        lambda_.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        report(function)
    aws = json.loads(function._stream.getvalue())  # type: ignore[attr-defined]

    tracing = OtlpTracing(InMemorySpanExporter(), 1.0)
    logs.start(tmp_path, "platform", tracing)
    with tracing.span("rest_api"):
        report(function)
        trace = tracing.context().split("-")[1]
    tracing.stop()

    (local,) = written(tmp_path)
    assert set(local) == set(aws)
    assert {"level", "location", "message", "timestamp", "service", "function_name", "thing"} <= set(local)
    assert local["xray_trace_id"] == f"1-{trace[:8]}-{trace[8:]}"


def test_plain_loggers_write_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start(tmp_path, "platform", NO_TRACING)
    logging.getLogger("some.library").warning("no %s", "port")

    (line,) = written(tmp_path)
    assert (line["message"], line["service"], line["level"]) == ("no port", "platform", "WARNING")
    assert json.loads(capsys.readouterr().out) == line


def test_files_are_rotated_and_only_their_owner_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    logs.start(tmp_path, "platform", NO_TRACING)
    for number in range(100):
        logging.getLogger("some.library").warning("line %d", number)

    files = list((tmp_path / "log").iterdir())
    assert len(files) == logs.OLDER_FILES + 1
    assert all(file.stat().st_size <= 1000 for file in files)
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_lines_have_fields_of_a_list_only() -> None:
    """A field with a payload or a token would be in the log of every customer."""
    used = {
        keyword.arg
        for folder in SOURCES
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "logger"
        and node.func.attr in ("debug", "info", "warning", "error", "exception", "critical")
        for keyword in node.keywords
    }
    assert used <= FIELDS | OPTIONS
    assert {"thing", "fault"} <= used
