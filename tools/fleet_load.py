"""`anc fleet`: a fleet of headsets against a platform of its own, and how well each was served."""

import os
import platform as system
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import numpy as np
from rich import progress as bars
from rich.table import Table

from anc.ports import Credentials
from anc.settings import Settings
from anc_client import ApiError, Client, NewDevice
from local.auth.issuer import Issuer
from local.process import (
    PlatformFailed,
    Running,
    cores,
    cpu_seconds,
    free_port,
    open_as_many_files_as_allowed,
    peak_memory_mb,
    platform,
)
from simulation.fleet import (
    RATE,
    TAPS,
    USERS,
    FleetHeadset,
    SimulatedUser,
    connect,
    run_fleet,
    simulated_users,
)
from tools.cli.terminal import errors, table

EACH = 4  # headsets that a person owns
CONNECT_S = 180.0
DRAIN_S = 120.0
LOOK_S = 0.2

Progress = Callable[[str, float], None]  # what is being done, and how much of it is done, 0 to 1


class Plan(NamedTuple):
    """What is asked of the fleet.

    Attributes
    ----------
    headsets : int
    minutes : float
    every_s : float
        Between two snapshots of a headset.
    seed : int
        Of when each headset speaks, and of what it hears.
    """

    headsets: int
    minutes: float
    every_s: float = 60.0
    seed: int = 0


class FleetProgress:
    """Shows on the terminal how far a fleet has come."""

    def __init__(self, hidden: bool) -> None:
        columns = (bars.TextColumn("{task.description:>16}"), bars.BarColumn(), bars.TimeElapsedColumn())
        self._bars = bars.Progress(*columns, console=errors, disable=hidden, transient=True)
        self._tasks: dict[str, bars.TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def at(self, what: str, share: float) -> None:
        """Show that of `what` is done so much, 0 to 1."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=1.0)
        self._bars.update(self._tasks[what], completed=share)


def measure(plan: Plan, settings: Settings, on_progress: Progress) -> dict[str, Any]:
    """Run a platform on one core and a fleet on the others, and return how it was served.

    Where there is one core only, or the system cannot hold a process to one, they share what there is.

    Raises
    ------
    PlatformFailed
    """
    mine = cores()
    core = mine[-1] if len(mine) > 1 else None
    if core is not None:
        os.sched_setaffinity(0, set(mine[:-1]))
    try:
        with TemporaryDirectory() as folder, platform(free_port(), Path(folder), core) as running:
            result = run(plan, running, Path(folder), settings, on_progress)
    finally:
        if core is not None:
            os.sched_setaffinity(0, set(mine))
    return {**result, "platform_on_one_core": core is not None}


def run(
    plan: Plan, running: Running, data: Path, settings: Settings, on_progress: Progress
) -> dict[str, Any]:
    """Enrol a fleet, let it live, and return how it was served.

    Raises
    ------
    PlatformFailed
        When the platform refuses a headset, or one cannot connect.
    """
    open_as_many_files_as_allowed()
    issuer = Issuer(data, settings)
    heads = _recorded(plan, on_progress)
    fleet = _enrolled(plan, running.url, issuer, heads, on_progress)
    try:
        connect(fleet, lambda number: on_progress("connecting", (number + 1) / plan.headsets), CONNECT_S)
    except TimeoutError as fault:
        raise PlatformFailed(str(fault)) from fault
    with Client(running.url, issuer.issue("fleet", "admin")) as client:
        cpu_before, before = cpu_seconds(running.pid), client.totals()
        begun = time.monotonic()
        seconds = 60 * plan.minutes
        course = run_fleet(
            fleet, seconds, plan.every_s, plan.seed, lambda passed: on_progress("listening", passed / seconds)
        )
        sent = sum(headset.sent for headset in fleet)
        counted = _drained(client, before, sent)
        passed = time.monotonic() - begun
        cpu_after = cpu_seconds(running.pid)
    on_progress("asking", 0.0)
    missed = sum(headset.has_missed_filter() for headset in fleet)
    for headset in fleet:
        headset.stop()
    return {
        **plan._asdict(),
        "snapshots": _snapshots(sent, counted, course.unsent, missed),
        "snapshot_to_shadow_ms": quantiles_ms(
            [wait for headset in fleet for wait in headset.filter_delays_s]
        ),
        "platform": _load(running.pid, cpu_before, cpu_after, passed, sent),
        "connections_lost": sum(headset.reconnects for headset in fleet),
        "refused_by_headsets": sorted({headset.refused for headset in fleet if headset.refused}),
        "published_late_ms": quantiles_ms(course.lateness_s),
        "machine": _machine(),
    }


def lost(result: dict[str, Any]) -> int:
    """Return how many snapshots and filters got lost."""
    snapshots = result["snapshots"]
    return int(snapshots["lost"] + snapshots["filters_missed"])


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float | int]:
    """Return how many durations there are, and in milliseconds the middle, the tail and the longest."""
    if not seconds:
        return {"number": 0}
    p50, p95, p99 = np.quantile(seconds, [0.5, 0.95, 0.99])
    figures = {"p50": p50, "p95": p95, "p99": p99, "max": max(seconds)}
    return {"number": len(seconds), **{name: round(1000 * float(s), 1) for name, s in figures.items()}}


def _recorded(plan: Plan, on_progress: Progress) -> list[SimulatedUser]:
    count = min(USERS, plan.headsets)
    heads = []
    for wearer in simulated_users(count, plan.seed):
        heads.append(wearer)
        on_progress("recording heads", len(heads) / count)
    return heads


def _enrolled(
    plan: Plan, url: str, issuer: Issuer, heads: Sequence[SimulatedUser], on_progress: Progress
) -> list[FleetHeadset]:
    fleet: list[FleetHeadset] = []
    for first in range(0, plan.headsets, EACH):
        with Client(url, issuer.issue(f"person-{first // EACH}", "listener")) as client:
            for number in range(first, min(first + EACH, plan.headsets)):
                wearer = heads[number % len(heads)]
                thing = f"fleet-{number:05d}"
                device = NewDevice(
                    thing=thing, model="twin", rate=RATE, taps=TAPS, secondary=wearer.measured.tolist()
                )
                try:
                    given = asdict(client.register(device).credentials)
                except ApiError as refusal:
                    raise PlatformFailed(f"{thing} was not registered: {refusal.detail}") from refusal
                fleet.append(
                    FleetHeadset(thing, Credentials(**given), wearer, first_recording=number // len(heads))
                )
                on_progress("enrolling", len(fleet) / plan.headsets)
    return fleet


def _drained(client: Client, before: dict[str, int], sent: int) -> dict[str, int]:
    """Return what the platform counted since, once it has dealt with every snapshot or makes no headway."""
    counted, dealt, still_since = {}, -1, time.monotonic()
    while dealt < sent and time.monotonic() < still_since + DRAIN_S:
        counted = {name: total - before.get(name, 0) for name, total in client.totals().items()}
        if (now := _dealt_with(counted)) > dealt:
            dealt, still_since = now, time.monotonic()
        time.sleep(LOOK_S)
    return counted


def _dealt_with(counted: dict[str, int]) -> int:
    return counted.get("snapshots_processed", 0) + sum(_refusals(counted).values())


def _refusals(counted: dict[str, int]) -> dict[str, int]:
    prefix = "snapshots_refused_"
    return {name.removeprefix(prefix): n for name, n in counted.items() if name.startswith(prefix) and n}


def _snapshots(sent: int, counted: dict[str, int], unsent: int, missed: int) -> dict[str, Any]:
    return {
        "sent": sent,
        "unsent": unsent,
        "processed": counted.get("snapshots_processed", 0),
        "refused": _refusals(counted),
        "lost": sent - _dealt_with(counted),
        "filters_sent": counted.get("filters_sent", 0),
        "filters_of_fleet": counted.get("filters_of_fleet", 0),
        "filters_kept": counted.get("filters_kept", 0),
        "filters_missed": missed,
    }


def _load(
    pid: int, before: float | None, after: float | None, passed: float, sent: int
) -> dict[str, float | None]:
    cpu = None if before is None or after is None else after - before
    memory = peak_memory_mb(pid)
    return {
        "cpu_s": None if cpu is None else round(cpu, 2),
        "cores": None if cpu is None else round(cpu / passed, 3),
        "cpu_ms_a_snapshot": None if cpu is None or not sent else round(1000 * cpu / sent, 2),
        "peak_memory_mb": None if memory is None else round(memory),
    }


def _machine() -> dict[str, Any]:
    load = [round(each, 2) for each in os.getloadavg()]
    return {"cores": os.cpu_count(), "load": load, "python": system.python_version(), "cpu": system.machine()}


def result_table(result: dict[str, Any]) -> Table:
    """Return a fleet's result for people."""
    snapshots, load, machine = result["snapshots"], result["platform"], result["machine"]
    minutes = f"{result['minutes']:g} min, one snapshot in {result['every_s']:g} s each"
    shown = table("", "", title=f"{result['headsets']:,} headsets, {minutes}")
    refused = ", ".join(f"{n} {code}" for code, n in snapshots["refused"].items()) or "none"
    rows = {
        "snapshots sent": f"{snapshots['sent']:,}",
        "lost": f"{snapshots['lost']} snapshots, {snapshots['filters_missed']} filters",
        "refused": refused,
        "filters": f"{snapshots['filters_sent']:,} sent, {snapshots['filters_of_fleet']:,} by others' help; "
        f"{snapshots['filters_kept']:,} times the one in use was good enough",
        "snapshot to shadow": _shown(result["snapshot_to_shadow_ms"]),
        "published late by": _shown(result["published_late_ms"]),
        "connections lost": str(result["connections_lost"]),
    }
    forms = {
        "cpu_s": "{:.1f} s of processor",
        "cpu_ms_a_snapshot": "{:.1f} ms a snapshot",
        "cores": "{:.0%} of a core",
        "peak_memory_mb": "{} MB at most",
    }
    known = [form.format(load[name]) for name, form in forms.items() if load[name] is not None]
    if known:
        rows["platform"] = ", ".join(known)
    held = "held to one core" if result["platform_on_one_core"] else "not held to one core"
    rows["machine"] = f"{machine['cores']} x {machine['cpu']}, load {machine['load'][0]}, platform {held}"
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown


def _shown(ms: dict[str, float | int]) -> str:
    if not ms["number"]:
        return "never"
    figures = (f"{name} {ms[name]:.0f}" for name in ("p50", "p95", "p99", "max"))
    return f"{', '.join(figures)} ms, of {ms['number']:,}"
