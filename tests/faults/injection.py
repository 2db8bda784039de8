"""Faults at the ports of the platform: one call of a run is the last one, fails, or is overtaken."""

import sqlite3
from typing import Any, Literal, get_args

from anc.ports import EndpointUnavailable, Gone
from anc.tables import TABLES
from tests.fakes import Clock

Kind = Literal[
    "killed before",
    "killed after",
    "throttled",
    "timed out",
    "overtaken",
    "gone",
    "clock ahead",
    "clock back",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
MEANING: dict[Kind, str] = {
    "killed before": "the process ends before the call",
    "killed after": "the process ends after the call, before its answer is used",
    "throttled": "the call is refused and changes nothing",
    "timed out": "the call takes effect, and its answer is lost",
    "overtaken": "another writer stores the record just before the write",
    "gone": "the WebSocket closes just before the frame is sent",
    "clock ahead": "the clock jumps ahead by five minutes just before the call",
    "clock back": "the clock jumps back by five minutes just before the call, and is corrected at the end",
}
TABLE_NAMES = tuple(spec.name for spec in TABLES)
# New records of these have random keys, which no other writer can take.
RANDOM_KEYS = ("audit", "jobs", "api_keys", "streams", "connections", "rollouts")
QUEUES = ("updates", "recordings", "reclassifications")
PORTS = (
    *TABLE_NAMES,
    *QUEUES,
    "shadows",
    "things",
    "fleet_index",
    "headset_jobs",
    "sockets",
    "alerts",
    "objects",
    "endpoint",
)
READS = (
    "get",
    "list",
    "info",
    "open",
    "certificates",
    "stored_parts",
    "invoke",
    "search",
    "count",
    "executions",
)


JUMPS_S = {"clock ahead": 300.0, "clock back": -300.0}


class Killed(BaseException):
    """The process has ended. Not an Exception, because no code of a dead process handles it."""


class Faults:
    """Counts the calls of all ports, and injects one fault.

    Parameters
    ----------
    clock : Clock, optional
        The clock that jumps.

    Attributes
    ----------
    calls : list of (str, str)
        Port and method of each call since `inject`.
    injected : bool
        Whether the fault has happened.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self._clock = clock or Clock()
        self.inject()

    def inject(self, kind: Kind | None = None, number: int = -1) -> None:
        """Inject a fault into the call with this number, counted from 0; without one, only count."""
        self.calls, self.injected, self._dead = [], False, False
        self._kind, self._number = kind, number

    def restart(self) -> None:
        """Let a new process make calls."""
        self._dead = False

    def call(self, port: Any, name: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of a port, or fail as injected."""
        if self._dead:
            raise Killed
        number = len(self.calls)
        self.calls.append((name, method))
        do = getattr(port, method)
        if number != self._number or self._kind is None or not applies(self._kind, name, method):
            return do(*arguments, **options)
        self.injected = True
        return self._fail(do, name, port, *arguments, **options)

    def _fail(self, do: Any, name: str, port: Any, *arguments: Any, **options: Any) -> Any:
        if self._kind in JUMPS_S:
            self._clock.now += JUMPS_S[self._kind]
            return do(*arguments, **options)
        if self._kind in ("killed after", "timed out"):
            do(*arguments, **options)
        if self._kind in ("killed before", "killed after"):
            self._dead = True
            raise Killed
        if self._kind in ("throttled", "timed out"):
            raise _error(name)
        if self._kind == "gone":
            raise Gone(arguments[0])
        record = arguments[0]  # overtaken
        if record.version:
            port.put(port.get(record.key))
        elif name not in RANDOM_KEYS:
            port.put(record)
        return do(*arguments, **options)

    def wrap(self, name: str, port: Any) -> Any:
        """Return the port with its calls counted."""
        return FaultyPort(self, name, port)


def _error(port: str) -> Exception:
    if port == "endpoint":
        return EndpointUnavailable("timeout")
    return sqlite3.OperationalError("database is locked")


class FaultyPort:
    """A port whose calls may fail."""

    def __init__(self, faults: Faults, name: str, port: Any) -> None:
        self._faults, self._name, self._port = faults, name, port

    def __getattr__(self, method: str) -> Any:
        value = getattr(self._port, method)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            return self._faults.call(self._port, self._name, method, *arguments, **options)

        return call


def applies(kind: Kind, port: str, method: str) -> bool:
    """Return whether a fault can happen to a call. Nobody but its worker writes a job."""
    if kind == "overtaken":
        return method == "put" and port in TABLE_NAMES and port not in ("audit", "jobs")
    if kind == "gone":
        return (port, method) == ("sockets", "post")
    return True


def is_new(kind: Kind, port: str, method: str) -> bool:
    """Return whether a fault has another effect than one at the call before.

    To end before a call is to end after the one before; to end after a read, or to lose its answer, is to end
    before it, or to be refused.
    """
    writes = method not in READS
    return applies(kind, port, method) and (kind in ("throttled", "overtaken", "gone") or writes)
