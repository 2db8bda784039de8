"""The request that is being handled: its caller, dependencies and body."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple

import msgspec
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from anc.aws.events import caller_of
from anc.patterns import ID, SHORT_HASH, USER_NAME, described
from anc.ports import Dependencies
from anc.schemas.refusal import Refused, check_depth
from anc.services.access import identity
from anc.services.access.identity import Caller
from anc.services.sound import cpu_budget
from functions import request_body

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")]
After = Annotated[
    str,
    Query(
        max_length=2048,
        pattern=described("^[ -~]*$", "printable ASCII text"),
        description="`next` of the previous page; ASCII.",
    ),
]
SessionId = Annotated[str, Path(pattern=ID)]
Thing = Annotated[str, Path(pattern=ID)]
UserId = Annotated[str, Path(pattern=USER_NAME)]
KeyId = Annotated[str, Path(pattern=SHORT_HASH)]


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number  # JSON does not distinguish 1.0 from 1


_decoder = msgspec.json.Decoder(float_hook=_number)


class RequestContext(NamedTuple):
    """An API Gateway event, and the dependencies to handle it with."""

    event: dict[str, Any]
    deps: Dependencies


_current: ContextVar[RequestContext] = ContextVar("request")


@contextmanager
def handling(event: dict[str, Any], deps: Dependencies) -> Iterator[None]:
    """Make this request the one that `dependencies`, `caller` and `sound` refer to."""
    token = _current.set(RequestContext(event, deps))
    try:
        yield
    finally:
        _current.reset(token)


def dependencies() -> Dependencies:
    """Return the dependencies of the request."""
    return _current.get().deps


def caller() -> Caller:
    """Return the caller with its present rights. Raises Refused: `unauthorized`."""
    event, deps = _current.get()
    return identity.refresh(caller_of(event), deps)


def parse_body(text: str) -> Any:
    """Return the value in a JSON body. Raises Refused: `bad_json`."""
    check_depth(text)
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as fault:
        raise Refused("bad_json", f"body: not a JSON document: {fault}") from fault


def charge(seconds: float) -> None:
    """Charge predicted core-seconds to the caller's budget. Raises Refused: `too_many`, `too_large`."""
    cpu_budget.charge(seconds, caller(), dependencies())


def sound() -> bytes:
    """Return the sound file in the body. Raises Refused: `bad_content_type`, `too_large`."""
    return request_body.sound(_current.get().event)
