"""`anc fleet`: load-test a temporary platform with a fleet of simulated headsets."""

import os
import platform as system
import time
from collections.abc import Callable, Iterator, Sequence
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

HEADSETS_PER_USER = 4
CONNECT_TIMEOUT_S = 180.0
DRAIN_TIMEOUT_S = 120.0
POLL_S = 0.2

Progress = Callable[[str, float], None]  # name of the step, and fraction done, 0 to 1


class Plan(NamedTuple):
    """Parameters of a load test.

    Attributes
    ----------
    headsets : int
    minutes : float
    every_s : float
        Interval between a headset's snapshots.
    seed : int
        Random seed of publication times and noises.
    """

    headsets: int
    minutes: float
    every_s: float = 60.0
    seed: int = 0


class FleetProgress:
    """Progress bars of a load test."""

    def __init__(self, hidden: bool) -> None:
        columns = (bars.TextColumn("{task.description:>16}"), bars.BarColumn(), bars.TimeElapsedColumn())
        self._bars = bars.Progress(*columns, console=errors, disable=hidden, transient=True)
        self._tasks: dict[str, bars.TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def at(self, step: str, fraction: float) -> None:
        """Set the progress of a step, 0 to 1."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=1.0)
        self._bars.update(self._tasks[step], completed=fraction)


def measure(plan: Plan, settings: Settings, on_progress: Progress) -> dict[str, Any]:
    """Run a platform on one core and a fleet on the others, and return the result.

    They share the cores if there is only one or the system does not support CPU affinity.

    Raises
    ------
    PlatformFailed
    """
    available = cores()
    core = available[-1] if len(available) > 1 else None
    if core is not None:
        os.sched_setaffinity(0, set(available[:-1]))
    try:
        with TemporaryDirectory() as folder, platform(free_port(), Path(folder), core) as running:
            result = run(plan, running, Path(folder), settings, on_progress)
    finally:
        if core is not None:
            os.sched_setaffinity(0, set(available))
    return {**result, "platform_on_one_core": core is not None}


def run(
    plan: Plan, running: Running, data: Path, settings: Settings, on_progress: Progress
) -> dict[str, Any]:
    """Register a fleet, run it, and return the result.

    Raises
    ------
    PlatformFailed
        The platform rejected a headset, or a headset could not connect.
    """
    open_as_many_files_as_allowed()
    issuer = Issuer(data, settings)
    users = _simulate_users(plan, on_progress)
    fleet = _register_fleet(plan, running.url, issuer, users, on_progress)
    try:
        connect(
            fleet, lambda number: on_progress("Connecting", (number + 1) / plan.headsets), CONNECT_TIMEOUT_S
        )
    except TimeoutError as fault:
        raise PlatformFailed(str(fault)) from fault
    with Client(running.url, issuer.issue("fleet", "admin")) as client:
        cpu_before, before = cpu_seconds(running.pid), client.totals()
        begun = time.monotonic()
        seconds = 60 * plan.minutes
        course = run_fleet(
            fleet, seconds, plan.every_s, plan.seed, lambda passed: on_progress("Running", passed / seconds)
        )
        sent = sum(headset.sent for headset in fleet)
        counted = wait_for_counters(client, before, sent)
        passed = time.monotonic() - begun
        cpu_after = cpu_seconds(running.pid)
    on_progress("Reading counters", 0.0)
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
    """Return the number of lost snapshots and filters."""
    snapshots = result["snapshots"]
    return int(snapshots["lost"] + snapshots["filters_missed"])


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float | int]:
    """Return the number of durations, and p50, p95, p99 and maximum in milliseconds."""
    if not seconds:
        return {"number": 0}
    p50, p95, p99 = np.quantile(seconds, [0.5, 0.95, 0.99])
    figures = {"p50": p50, "p95": p95, "p99": p99, "max": max(seconds)}
    return {"number": len(seconds), **{name: round(1000 * float(s), 1) for name, s in figures.items()}}


def _simulate_users(plan: Plan, on_progress: Progress) -> list[SimulatedUser]:
    count = min(USERS, plan.headsets)
    users = []
    for user in simulated_users(count, plan.seed):
        users.append(user)
        on_progress("Simulating users", len(users) / count)
    return users


def _register_fleet(
    plan: Plan, url: str, issuer: Issuer, users: Sequence[SimulatedUser], on_progress: Progress
) -> list[FleetHeadset]:
    fleet: list[FleetHeadset] = []
    for thing, credentials in registered_headsets(url, issuer, users, plan.headsets):
        number = len(fleet)
        user = users[number % len(users)]
        fleet.append(FleetHeadset(thing, credentials, user, first_recording=number // len(users)))
        on_progress("Registering", len(fleet) / plan.headsets)
    return fleet


def owner(number: int) -> str:
    """Return the user who owns a headset of the fleet."""
    return f"person-{number // HEADSETS_PER_USER}"


def thing_name(number: int) -> str:
    """Return the name of a headset of the fleet."""
    return f"fleet-{number:05d}"


def registered_headsets(
    url: str, issuer: Issuer, users: Sequence[SimulatedUser], count: int
) -> Iterator[tuple[str, Credentials]]:
    """Register headsets and yield their names and credentials. Raises PlatformFailed."""
    for first in range(0, count, HEADSETS_PER_USER):
        with Client(url, issuer.issue(owner(first), "listener")) as client:
            for number in range(first, min(first + HEADSETS_PER_USER, count)):
                thing, secondary = thing_name(number), users[number % len(users)].measured.tolist()
                device = NewDevice(thing=thing, model="twin", rate=RATE, taps=TAPS, secondary=secondary)
                try:
                    credentials = asdict(client.register(device).credentials)
                except ApiError as refusal:
                    raise PlatformFailed(f"cannot register {thing}: {refusal.detail}") from refusal
                yield thing, Credentials(**credentials)


def wait_for_counters(client: Client, before: dict[str, int], sent: int) -> dict[str, int]:
    """Return the platform's counters once every snapshot is processed or progress has stopped."""
    counted, finished, stalled_since = {}, -1, time.monotonic()
    while finished < sent and time.monotonic() < stalled_since + DRAIN_TIMEOUT_S:
        counted = {name: total - before.get(name, 0) for name, total in client.totals().items()}
        if (now := _finished(counted)) > finished:
            finished, stalled_since = now, time.monotonic()
        time.sleep(POLL_S)
    return counted


def _finished(counted: dict[str, int]) -> int:
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
        "lost": sent - _finished(counted),
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
    """Return the result of a load test as a table."""
    snapshots, load, machine = result["snapshots"], result["platform"], result["machine"]
    minutes = f"{result['minutes']:g} min, one snapshot per headset every {result['every_s']:g} s"
    view = table("", "", title=f"{result['headsets']:,} headsets, {minutes}")
    refused = ", ".join(f"{n} {code}" for code, n in snapshots["refused"].items()) or "none"
    rows = {
        "Snapshots sent": f"{snapshots['sent']:,}",
        "Lost": f"{snapshots['lost']} snapshots, {snapshots['filters_missed']} filters",
        "Rejected": refused,
        "Filters": f"{snapshots['filters_sent']:,} sent, {snapshots['filters_of_fleet']:,} of them "
        f"from fleet data; current filter kept {snapshots['filters_kept']:,} times",
        "Snapshot to shadow": _latencies(result["snapshot_to_shadow_ms"]),
        "Publication delay": _latencies(result["published_late_ms"]),
        "Connections lost": str(result["connections_lost"]),
    }
    forms = {
        "cpu_s": "{:.1f} s CPU time",
        "cpu_ms_a_snapshot": "{:.1f} ms per snapshot",
        "cores": "{:.0%} of a core",
        "peak_memory_mb": "{} MB peak memory",
    }
    known = [form.format(load[name]) for name, form in forms.items() if load[name] is not None]
    if known:
        rows["Platform"] = ", ".join(known)
    affinity = "on one core" if result["platform_on_one_core"] else "not limited to one core"
    rows["Machine"] = f"{machine['cores']} x {machine['cpu']}, load {machine['load'][0]}, platform {affinity}"
    for name, value in rows.items():
        view.add_row(name, value)
    return view


def _latencies(ms: dict[str, float | int]) -> str:
    if not ms["number"]:
        return "-"
    figures = (f"{name} {ms[name]:.0f}" for name in ("p50", "p95", "p99", "max"))
    return f"{', '.join(figures)} ms (n = {ms['number']:,})"
