"""Whether the platform lives, is ready, and what of that on which it depends does not answer."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from aws_lambda_powertools import Logger

from anc.ports import Dependencies
from anc.services.sound import detection
from anc.services.sound.jobs import UPLOADS

NOBODY = "health"  # a key under which nothing is stored

logger = Logger(service="health")


class State(NamedTuple):
    """The state of the platform.

    Attributes
    ----------
    status : str
        `degraded` when it answers but cannot hear, so that every headset is open to the world, or cannot
        reach recordings; `failing` when what it stores in does not answer.
    live, ready : bool
        Whether it runs at all, and whether it should be sent requests.
    checks : dict of str to str
        `ok` or the kind of fault, for each thing that it depends on.
    """

    status: Literal["ok", "degraded", "failing"]
    live: bool
    ready: bool
    checks: dict[str, str]


def check(deps: Dependencies) -> State:
    """Try everything that the platform depends on."""
    checks = {
        "tables": _try(lambda: deps.streams.get(NOBODY)),
        "files": _try(lambda: deps.objects.info(UPLOADS + NOBODY)),
        "hearing": _try(lambda: detection.load_classifier(deps.settings)),
    }
    ready = checks["tables"] == "ok"
    status: Literal["ok", "degraded", "failing"] = "degraded" if ready else "failing"
    if set(checks.values()) == {"ok"}:
        status = "ok"
    return State(status, live=True, ready=ready, checks=checks)


def _try(dependency: Callable[[], Any]) -> str:
    try:
        dependency()
    except Exception as fault:  # whatever it is, it is the answer
        logger.exception("a dependency does not answer")
        return type(fault).__name__
    return "ok"
