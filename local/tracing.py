"""`anc.tracing.Tracing` with OpenTelemetry: spans are sent over OTLP, by HTTP, in the background.

A snapshot begins a trace when it is queued. Its context is stored with the message, so that the trace goes on
in the function that processes it, and through the next queue to the update of the shadow. A fraction of
snapshots, live blocks and REST requests is traced.
"""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from anc import __version__
from anc.settings import BadSetting
from anc.tracing import ATTRIBUTES, NO_TRACING, Tracing
from local.configuration import LaunchSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

PATH = "/v1/traces"
MAX_TEXT = 128
PARENT = "traceparent"
SAMPLED = ("audio_receiver", "rest_api", "classifier")


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
    """A span that is current within a `with` statement. Faster than `use_span` of OpenTelemetry.

    Messages of exceptions are not recorded: one may quote what a client sent.
    """

    __slots__ = ("_span", "_token")

    def __init__(self, span: "Span") -> None:
        self._span = span

    def __enter__(self) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415  an extra

        self._token = context.attach(trace.set_span_in_context(self._span))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415  an extra

        context.detach(self._token)
        if kind:
            self._span.set_status(trace.StatusCode.ERROR, kind.__name__)
        self._span.end()


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
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        resource = Resource.create({"service.name": "anc-platform", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("anc", __version__)
        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._draw = draw
        self._fractions = dict.fromkeys(SAMPLED, fraction) | {"send snapshots": snapshots}
        self._kinds = {"send": trace.SpanKind.PRODUCER, "process": trace.SpanKind.CONSUMER}
        self._nothing = nullcontext()

    def span(
        self, name: str, parent: str = "", **attributes: str | int | float
    ) -> AbstractContextManager[object]:
        """See `Tracing.span`."""
        context = self._propagator.extract({PARENT: parent}) if parent else None
        current = self._trace.get_current_span(context)
        if not current.get_span_context().trace_flags.sampled:
            fraction = self._fractions.get(name, 0.0)
            if not fraction or self._draw() >= fraction:
                return self._nothing
        allowed = {
            f"anc.{key}": value[:MAX_TEXT] if isinstance(value, str) else value
            for key, value in attributes.items()
            if key in ATTRIBUTES
        }
        kind = self._kinds.get(name.partition(" ")[0], self._trace.SpanKind.INTERNAL)
        return _Recorded(self._tracer.start_span(name, context, kind, allowed))

    def context(self) -> str:
        """See `Tracing.context`."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(PARENT, "")

    def stop(self) -> None:
        """Send what is left, and end the thread."""
        self._provider.shutdown()
