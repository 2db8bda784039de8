"""What a load consists of, and how its generators start at the same time."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from benchmarks.microphones import Format
from benchmarks.processes import Server

STREAM_16, STREAM_48 = Format(16_000, 1600), Format(48_000, 1024)
LAG_EVERY_S = 0.05  # between two measurements of a generator's own lateness
START_IN_S = 1.0  # from the decision to start: every generator has read it by then


class Plan(NamedTuple):
    """Parameters of a load.

    Attributes
    ----------
    seconds, warm_up_s : float
        Duration of the measurement, and of the same load before it.
    sockets : int
        Open WebSockets, those of the streams included.
    streams_16, streams_48 : int
        Sessions that stream without pause, at 16 and at 48 kHz.
    visits_per_hour, visit_s : float
        Short sessions of every other socket, and their duration.
    headsets : int
    calls_per_s : float
        REST calls of all users together.
    seed : int
    """

    seconds: float = 1800.0
    warm_up_s: float = 20.0
    sockets: int = 1000
    streams_16: int = 12
    streams_48: int = 4
    visits_per_hour: float = 1.0
    visit_s: float = 10.0
    headsets: int = 1000
    calls_per_s: float = 50.0
    seed: int = 0

    @property
    def users(self) -> int:
        """Sockets that do not stream without pause."""
        return self.sockets - self.streams_16 - self.streams_48


class Window(NamedTuple):
    """Times of a measurement on the clock `time.monotonic`, which all processes share."""

    first: float
    since: float
    until: float


class Generator:
    """A process that generates one kind of load.

    Parameters
    ----------
    name : str
    work : callable
        `work(server, plan, gate)` prepares, calls `gate.window()`, generates load and returns its result.
        The child process imports it by name.
    """

    def __init__(self, name: str, work: Callable[..., Any], server: Server, plan: Plan) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_child, args=(work, server, plan, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        """Return when the generator is prepared."""
        self._receive()

    def start(self, window: Window) -> None:
        """Let it generate load."""
        self._ours.send(window)

    def result(self) -> dict[str, Any]:
        """Return its result, with `cores`: the processor cores that it used."""
        found: dict[str, Any] = self._receive()
        self._process.join()
        return found

    def stop(self) -> None:
        """End the process, if it has not ended."""
        self._process.terminate()
        self._process.join()

    def _receive(self) -> Any:
        try:
            kind, value = self._ours.recv()
        except EOFError:
            raise RuntimeError(f"the generator of {self.name} ended without a result") from None
        if kind == "failed":
            raise RuntimeError(f"the generator of {self.name} failed: {value}")
        return value


class Gate:
    """A generator's side: what it waits for, and its processor time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cpu: list[float] = []

    def window(self) -> Window:
        """Report that the generator is ready, and return the window once it is known."""
        self._connection.send(("ready", None))
        window: Window = self._connection.recv()
        return window

    def mark(self) -> None:
        """Note the processor time at the start or at the end of the measurement."""
        self._cpu.append(time.process_time())

    def cores(self, window: Window) -> float:
        """Return the cores used between the two marks."""
        first, last = self._cpu
        return (last - first) / (window.until - window.since)


def _child(work: Callable[..., Any], server: Server, plan: Plan, connection: Connection) -> None:
    try:
        connection.send(("result", work(server, plan, Gate(connection))))
    except Exception as fault:  # noqa: BLE001  the parent raises it
        connection.send(("failed", f"{type(fault).__name__}: {fault}"))


def window(plan: Plan) -> Window:
    """Return a window that starts soon."""
    first = time.monotonic() + START_IN_S
    return Window(first, first + plan.warm_up_s, first + plan.warm_up_s + plan.seconds)


async def sleep_until(due: float) -> None:
    """Sleep until a time on the clock `time.monotonic`."""
    await asyncio.sleep(due - time.monotonic())


async def measure_lag(window: Window, gate: Gate) -> list[float]:
    """Return by how many seconds an event loop was late, measured all the time, and mark the gate."""
    late = []
    await sleep_until(window.since)
    gate.mark()
    while (due := time.monotonic() + LAG_EVERY_S) < window.until:
        await sleep_until(due)
        late.append(time.monotonic() - due)
    await sleep_until(window.until)
    gate.mark()
    return late


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float | int]:
    """Return the number of durations, and p50, p99, p99.9 and maximum in milliseconds."""
    if not len(seconds):
        return {"number": 0}
    figures = np.quantile(seconds, [0.5, 0.99, 0.999, 1.0])
    names = ("p50", "p99", "p99.9", "max")
    named = {name: round(1e3 * float(value), 2) for name, value in zip(names, figures, strict=True)}
    return {"number": len(seconds), **named}


def by_minute_ms(taken: Sequence[tuple[float, float]], window: Window) -> list[float]:
    """Return the p99 of each minute in milliseconds, from pairs of time and seconds."""
    if not taken:
        return []
    when, seconds = np.asarray(taken).T
    minutes = np.floor((when - window.since) / 60).astype(int)
    return [round(1e3 * float(np.quantile(seconds[minutes == k], 0.99)), 2) for k in np.unique(minutes)]
