"""Traces of work that several functions and queues share: the interface that services use.

`local.tracing` sends the traces of one machine over OTLP. On AWS, X-Ray traces the functions by itself, and
SQS carries the trace from one function to the next, so that services begin no spans there.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Tracing(Protocol):
    """Spans: named, timed parts of a trace. No name or attribute may contain sound, tokens or keys."""

    def span(
        self, name: str, parent: str = "", **attributes: str | int | float
    ) -> AbstractContextManager[object]:
        """Return a context that is recorded as a span, or that does nothing when the work is not traced.

        Parameters
        ----------
        name : str
        parent : str
            W3C `traceparent` of the sender of a message. Default: the current span of this thread.
        attributes
            Names of `ATTRIBUTES`, without the prefix `anc.`.
        """

    def context(self) -> str:
        """Return the W3C `traceparent` of the current span, "" when the work is not traced."""

    def stop(self) -> None:
        """Send what is left."""


ATTRIBUTES = ("thing", "seq", "resource", "method")


class NoTracing:
    """`Tracing` that records nothing."""

    _nothing = nullcontext()

    def span(
        self, name: str, parent: str = "", **attributes: str | int | float
    ) -> AbstractContextManager[object]:
        """See `Tracing.span`."""
        return self._nothing

    def context(self) -> str:
        """See `Tracing.context`."""
        return ""

    def stop(self) -> None:
        """See `Tracing.stop`."""


NO_TRACING = NoTracing()
