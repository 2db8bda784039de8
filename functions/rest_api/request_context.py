"""The request that is being answered: who calls, on which world, with which sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple

import msgspec
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from anc.aws.events import caller_of
from anc.ports import Dependencies
from anc.schemas.refusal import Refused, check_depth
from anc.schemas.rest.requests import NAME, THING
from anc.services.access import identity
from anc.services.access.identity import Caller
from anc.services.sound import cpu_budget
from functions import request_body

Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
After = Annotated[
    str, Query(max_length=2048, pattern="^[ -~]*$", description="`next` of the part before; ASCII.")
]
SessionId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$")]
Thing = Annotated[str, Path(pattern=THING)]
User = Annotated[str, Path(pattern=NAME)]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number  # to JSON, 1.0 is as whole as 1


_decoder = msgspec.json.Decoder(float_hook=_number)


class RequestContext(NamedTuple):
    """A request as API Gateway passes it on, and the world that it is about."""

    event: dict[str, Any]
    deps: Dependencies


_now: ContextVar[RequestContext] = ContextVar("call")


@contextmanager
def answering(event: dict[str, Any], deps: Dependencies) -> Iterator[None]:
    """Make this request the one that `world`, `caller` and `sound` speak of."""
    token = _now.set(RequestContext(event, deps))
    try:
        yield
    finally:
        _now.reset(token)


def dependencies() -> Dependencies:
    """Return the world that the request is about."""
    return _now.get().deps


def caller() -> Caller:
    """Return who calls, with what they may do now. Raises Refused: `unauthorized`."""
    event, deps = _now.get()
    return identity.refresh(caller_of(event), deps)


def parse_body(text: str) -> Any:
    """Return what a JSON body holds. Raises Refused: `bad_json`."""
    check_depth(text)
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as fault:
        raise Refused("bad_json", f"body: not a JSON document: {fault}") from fault


def charge(seconds: float) -> None:
    """Take predicted core-seconds out of the caller's budget. Raises Refused: `too_many`, `too_large`."""
    cpu_budget.charge(seconds, caller(), dependencies())


def sound() -> bytes:
    """Return the sound file in the body. Raises Refused: `bad_content_type`, `too_large`."""
    return request_body.sound(_now.get().event)
