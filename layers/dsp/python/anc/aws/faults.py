"""Temporary faults of AWS: a service is too busy, has an internal error, or does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ConnectionError, HTTPClientError, IncompleteReadError

from anc.ports import StorageUnavailable

# Every throttling code of AWS has one of these words in it, whatever its HTTP status.
THROTTLED = ("Throttl", "SlowDown", "TooManyRequests", "LimitExceeded", "ThroughputExceeded")
BROKEN_BODIES = (IncompleteReadError, HTTPClientError)
NO_CONNECTION = (HTTPClientError, ConnectionError)


class NoAnswer(StorageUnavailable, BotoCoreError):
    """Raised after the retries of a call. A write may have taken effect, unless the service refused it."""

    explanation = "storage: a service is busy or did not answer; see whether it was stored, and try again"
    wait_s = 5

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


def translate(client: Any) -> None:
    """Let the calls of a boto3 client raise NoAnswer for temporary faults."""
    client.meta.events.register("after-call", _check_answer)
    client.meta.events.register("after-call-error", _check_error)


def _check_answer(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    status, code = http_response.status_code, str(parsed.get("Error", {}).get("Code", ""))
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or any(word in code for word in THROTTLED)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or (status >= HTTPStatus.BAD_REQUEST and busy):
        raise NoAnswer(f"{model.name}: {status} {code}")


def _check_error(exception: Exception, event_name: str = "", **_: Any) -> None:
    if isinstance(exception, NO_CONNECTION):
        operation = event_name.rpartition(".")[2]
        raise NoAnswer(f"{operation}: {type(exception).__name__}: {exception}") from exception


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Return a context that raises NoAnswer when a body ends too early or does not arrive."""
    try:
        yield
    except BROKEN_BODIES as fault:
        raise NoAnswer(f"{what}: {type(fault).__name__}: {fault}") from fault
