"""`anc.tracing.Tracing` with OpenTelemetry: spans are sent over OTLP, by HTTP, in the background.

A snapshot begins a trace when it is queued. Its context is stored with the message, so that the trace goes on
in the function that processes it, and through the next queue to the update of the shadow. A fraction of
snapshots, live blocks and REST requests is traced.
"""

import os
import random
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from anc import __version__
from anc.settings import BadSetting
from anc.tracing import ATTRIBUTES, NO_TRACING, Tracing
from local.configuration import LaunchSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext

PATH = "/v1/traces"
MAX_TEXT = 128
SAMPLED_PARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-01")  # traceparent of W3C
SAMPLED = ("audio_receiver", "rest_api", "classifier")

_current: "ContextVar[SpanContext | None]" = ContextVar("span", default=None)


def tracing_of(settings: LaunchSettings) -> Tracing:
    """Return the tracing that the settings describe. Call it after forking: it starts a thread.

    Raises
    ------
    BadSetting
        When it is on and OpenTelemetry is not installed.
    """
    if not settings.otel_exporter_otlp_endpoint:
        return NO_TRACING
    try:
        # The import takes 0.3 s, and the package is an extra.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    except ImportError as fault:
        name = "OTEL_EXPORTER_OTLP_ENDPOINT"
        raise BadSetting(f"{name}: requires the extra traces: pip install anc-platform[traces]") from fault
    exporter = OTLPSpanExporter(endpoint=settings.otel_exporter_otlp_endpoint.rstrip("/") + PATH)
    return OtlpTracing(exporter, settings.anc_traced_fraction, settings.anc_traced_snapshots)


class _Recorded:
    """A span that is current within a `with` statement, and ended by `end` after it."""

    __slots__ = ("_begun_ns", "_end", "_token", "attributes", "context", "name", "parent")

    def __init__(
        self,
        name: str,
        context: "SpanContext",
        parent: "SpanContext | None",
        attributes: dict[str, str | int | float],
        end: Callable[["_Recorded", int, type[BaseException] | None], None],
    ) -> None:
        self.name, self.context, self.parent, self.attributes = name, context, parent, attributes
        self._end = end

    def __enter__(self) -> None:
        self._token = _current.set(self.context)
        self._begun_ns = time.time_ns()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _current.reset(self._token)
        self._end(self, self._begun_ns, kind)


class OtlpTracing:
    """Tracing with an exporter.

    Parameters
    ----------
    exporter : SpanExporter
    fraction : float
        Of the live blocks and REST requests that are traced.
    snapshots : float
        The same of snapshots.
    draw : callable
        Returns a random number from 0 to 1.
    """

    def __init__(
        self,
        exporter: "SpanExporter",
        fraction: float,
        snapshots: float = 1.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        from opentelemetry import trace  # noqa: PLC0415  an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

        resource = Resource.create({"service.name": "anc-platform", "service.version": __version__})
        scope = InstrumentationScope("anc", __version__)
        # The tracer of the SDK takes four times as long for a span: it supports more than is needed here.
        self._span = partial(ReadableSpan, resource=resource, instrumentation_scope=scope)
        self._processor = BatchSpanProcessor(exporter)
        self._context = partial(trace.SpanContext, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
        self._succeeded = trace.Status()
        self._failed = partial(trace.Status, trace.StatusCode.ERROR)
        self._draw = draw
        self._fractions = dict.fromkeys(SAMPLED, fraction) | {"send snapshots": snapshots}
        self._kinds = {"send": trace.SpanKind.PRODUCER, "process": trace.SpanKind.CONSUMER}
        self._other_kind = trace.SpanKind.INTERNAL
        self._nothing = nullcontext()

    def span(
        self, name: str, parent: str = "", **attributes: str | int | float
    ) -> AbstractContextManager[object]:
        """See `Tracing.span`."""
        current = self._sent(parent) if parent else _current.get()
        # Most work is not traced, and pays only for this decision.
        if current is None:
            fraction = self._fractions.get(name, 0.0)
            if not fraction or self._draw() >= fraction:
                return self._nothing
        allowed = {
            f"anc.{key}": value[:MAX_TEXT] if isinstance(value, str) else value
            for key, value in attributes.items()
            if value != "" and key in ATTRIBUTES
        }
        trace_id = current.trace_id if current else _random(16)
        context = self._context(trace_id, _random(8), is_remote=False)
        return _Recorded(name, context, current, allowed, self._ended)

    def context(self) -> str:
        """See `Tracing.context`."""
        current = _current.get()
        return f"00-{current.trace_id:032x}-{current.span_id:016x}-01" if current else ""

    def stop(self) -> None:
        """Send what is left, and end the thread."""
        self._processor.shutdown()

    def flush(self) -> None:
        """Send what is left."""
        self._processor.force_flush()

    def _sent(self, parent: str) -> "SpanContext | None":
        """Return the span of the sender of a message; None if it is not traced."""
        found = SAMPLED_PARENT.fullmatch(parent)
        return self._context(int(found[1], 16), int(found[2], 16), is_remote=True) if found else None

    def _ended(self, recorded: _Recorded, begun_ns: int, fault: type[BaseException] | None) -> None:
        # The message of an exception is left out: it may quote what a client sent.
        self._processor.on_end(
            self._span(
                recorded.name,
                context=recorded.context,
                parent=recorded.parent,
                attributes=recorded.attributes,
                kind=self._kinds.get(recorded.name.partition(" ")[0], self._other_kind),
                status=self._failed(fault.__name__) if fault else self._succeeded,
                start_time=begun_ns,
                end_time=time.time_ns(),
            )
        )


def _random(size: int) -> int:
    return int.from_bytes(os.urandom(size), "big")
