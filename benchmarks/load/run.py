"""Start the platform, generate a load, and measure what it costs."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.load import calls, headsets, streams, users
from benchmarks.load.plan import Generator, Plan, Window, window
from benchmarks.processes import Server

SAMPLE_S = 10.0
GENERATORS: dict[str, tuple[Callable[..., Any], Callable[[Plan], bool]]] = {
    "headsets": (headsets.generate, lambda plan: plan.headsets > 0),
    "streams": (streams.generate, lambda plan: plan.streams_16 + plan.streams_48 > 0),
    "users": (users.generate, lambda plan: plan.users > 0),
    "calls": (calls.generate, lambda plan: plan.calls_per_s > 0),
}  # in the order in which they prepare: users watch headsets that are registered


class Sample(NamedTuple):
    """State of the machine: time, processor seconds of the platform and of everything, megabytes."""

    at: float
    server_s: float
    machine_s: float
    memory_mb: float

    @classmethod
    def take(cls, server: Server) -> "Sample":
        """Measure it now."""
        return cls(time.monotonic(), server.cpu_s(), _machine_s(), server.memory_mb())


def run(server: Server, plan: Plan, on_progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Generate a load on a running platform, and return its cost and the results of the generators."""
    wanted = {name: work for name, (work, is_part) in GENERATORS.items() if is_part(plan)}
    generators: list[Generator] = []
    try:
        for name, work in wanted.items():
            begun = time.monotonic()
            generators.append(Generator(name, work, server, plan))
            generators[-1].wait_until_ready()
            on_progress(f"{name} ready after {time.monotonic() - begun:.0f} s")
        measured = window(plan)
        for generator in generators:
            generator.start(measured)
        samples = _watch(server, measured, on_progress)
        results = {generator.name: generator.result() for generator in generators}
    finally:
        for generator in generators:
            generator.stop()
    return {"plan": plan._asdict(), "platform": cost(samples, results), **results}


def cost(samples: list[Sample], results: dict[str, Any]) -> dict[str, Any]:
    """Return processor cores by who used them, and the memory of the platform."""
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    memory = [each.memory_mb for each in samples]
    server = (last.server_s - first.server_s) / seconds
    generators = {name: round(result["cores"], 3) for name, result in results.items()}
    others = (last.machine_s - first.machine_s) / seconds - server - sum(generators.values())
    hours = (np.array([each.at for each in samples]) - first.at) / 3600
    growth = np.polyfit(hours, memory, 1)[0] if len(samples) > 2 else 0.0
    return {
        "cores": round(server, 3),
        "generator_cores": generators,
        "other_cores": round(max(others, 0.0), 3),  # the clocks differ by a few hundredths
        "memory_mb": {
            "first": round(memory[0], 1),
            "last": round(memory[-1], 1),
            "max": round(max(memory), 1),
        },
        "memory_growth_mb_per_hour": round(float(growth), 1),
        "memory_by_sample_mb": [round(each, 1) for each in memory],
    }


def _watch(server: Server, measured: Window, on_progress: Callable[[str], None]) -> list[Sample]:
    time.sleep(max(measured.since - time.monotonic(), 0.0))
    samples = [Sample.take(server)]
    while (left := measured.until - time.monotonic()) > 0:
        time.sleep(min(SAMPLE_S, left))
        samples.append(Sample.take(server))
        used = (samples[-1].server_s - samples[-2].server_s) / (samples[-1].at - samples[-2].at)
        on_progress(f"{left:6.0f} s left, platform {used:.2f} cores, {samples[-1].memory_mb:.0f} MB")
    return samples


def _machine_s() -> float:
    """Return the processor time of everything on the machine; 0 if the system does not report it."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, interrupts, soft = map(int, fields[:7])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
