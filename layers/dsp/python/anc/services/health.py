"""Health of the platform: liveness, readiness, and the state of each dependency."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from aws_lambda_powertools import Logger

from anc.ports import Conflict, Dependencies
from anc.records import Usage
from anc.services.sound import detection
from anc.services.sound.job_files import UPLOADS

PROBE_KEY = "health"  # nothing but usages is stored under this key
PROBE_LIFETIME_S = 86_400.0

logger = Logger(service="health")


class State(NamedTuple):
    """The state of the platform.

    Attributes
    ----------
    status : str
        `degraded` if the classifier cannot be loaded, which keeps headsets in transparency mode, or if
        recordings cannot be reached; `failing` if the tables do not respond or take no writes.
    live, ready : bool
        Whether the process runs, and whether it should receive requests.
    checks : dict of str to str
        `ok` or the exception type, for each dependency.
    """

    status: Literal["ok", "degraded", "failing"]
    live: bool
    ready: bool
    checks: dict[str, str]


def check(deps: Dependencies) -> State:
    """Call each dependency once. After a successful write, none is tried for `ReadCache.TTL_S`."""
    checks = {
        "tables": _try(lambda: deps.streams.get(PROBE_KEY)),
        "writes": _try(lambda: deps.read_cache.read("health", PROBE_KEY, lambda _: _write(deps))),
        "files": _try(lambda: deps.objects.info(UPLOADS + PROBE_KEY)),
        "classifier": _try(lambda: detection.load_classifier(deps.settings)),
    }
    ready = checks["tables"] == checks["writes"] == "ok"
    status: Literal["ok", "degraded", "failing"] = "degraded" if ready else "failing"
    if set(checks.values()) == {"ok"}:
        status = "ok"
    return State(status, live=True, ready=ready, checks=checks)


def _write(deps: Dependencies) -> None:
    known = deps.usages.get(PROBE_KEY) or Usage(key=PROBE_KEY)
    with suppress(Conflict):  # another process wrote it
        deps.usages.put(known.replace(expires=deps.clock() + PROBE_LIFETIME_S))


def _try(dependency: Callable[[], Any]) -> str:
    try:
        dependency()
    except Exception as fault:  # the exception type is the result
        logger.exception("a dependency failed")
        return type(fault).__name__
    return "ok"
