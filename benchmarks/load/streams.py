"""Sessions that stream two microphones without pause, at 16 and at 48 kHz."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from benchmarks.load.plan import (
    STREAM_16,
    STREAM_48,
    Gate,
    Plan,
    Window,
    by_minute_ms,
    measure_lag,
    quantiles_ms,
)
from benchmarks.microphones import Format, LiveClient, open_microphones
from benchmarks.processes import Server
from local.process import open_as_many_files_as_allowed


def generate(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    """Stream sessions and return their latencies and losses."""
    open_as_many_files_as_allowed()
    return uvloop.run(_stream_all(server, plan, gate))


async def _stream_all(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    counts = {STREAM_16: plan.streams_16, STREAM_48: plan.streams_48}
    async with AsyncExitStack() as stack:
        groups = {
            form: await open_microphones(server, form, count, stack)
            for form, count in counts.items()
            if count
        }
        window = await asyncio.to_thread(gate.window)
        streams = {
            form: [
                asyncio.create_task(
                    client.stream(window.first + i * form.block_s / len(clients), window.since, window.until)
                )
                for i, client in enumerate(clients)
            ]
            for form, clients in groups.items()
        }
        late = await measure_lag(window, gate)
        results = [
            _result(form, groups[form], await asyncio.gather(*tasks, return_exceptions=True), window)
            for form, tasks in streams.items()
        ]
    return {"formats": results, "late_ms": quantiles_ms(late), "cores": gate.cores(window)}


def _result(form: Format, clients: list[LiveClient], ends: list[Any], window: Window) -> dict[str, Any]:
    taken = [each for client in clients for each in client.answers if window.since <= each[0] < window.until]
    offered = len(clients) * (window.until - window.since) / form.block_s
    return {
        "format": str(form),
        "sessions": len(clients),
        "offered": round(offered),
        "answered": len(taken),
        "skipped": sum(client.skipped for client in clients),
        "lag_reports": sum(client.lag_reports for client in clients),
        "broken": [str(end)[:200] for end in ends if end is not None],
        "latency_ms": quantiles_ms([seconds for _, seconds in taken]),
        "p99_by_minute_ms": by_minute_ms(taken, window),
    }
