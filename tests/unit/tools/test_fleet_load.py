"""The result table of `anc fleet` is complete even if values are missing."""

from typing import Any

import pytest
from rich.console import Console

from tools.fleet_load import quantiles_ms, result_table

NOTHING = dict.fromkeys(("sent", "unsent", "processed", "lost", "filters_missed"), 0)
FILTERS = dict.fromkeys(("filters_sent", "filters_of_fleet", "filters_kept"), 0)


def result(waits: list[float], **load: float | None) -> dict[str, Any]:
    nothing_known = dict.fromkeys(("cpu_s", "cores", "cpu_ms_a_snapshot", "peak_memory_mb"))
    return {
        **{"headsets": 1000, "minutes": 5.0, "every_s": 60.0, "connections_lost": 0},
        "snapshots": {**NOTHING, **FILTERS, "sent": len(waits), "refused": {"clipped": 2, "stale_seq": 1}},
        "snapshot_to_shadow_ms": quantiles_ms(waits),
        "published_late_ms": quantiles_ms(waits),
        "platform": {**nothing_known, **load},
        "machine": {"cores": 2, "load": [0.5, 0.4, 0.3], "cpu": "x86_64"},
        "platform_on_one_core": True,
    }


def shown(result: dict[str, Any]) -> str:
    console = Console(width=80)
    with console.capture() as printed:
        console.print(result_table(result))
    return printed.get()


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (result([]), "Snapshot to shadow   -"),
        (result([], cpu_s=1.0, cores=0.04, peak_memory_mb=142), "1.0 s CPU time, 4% of a core, 142 MB"),
        (result([0.05], cpu_s=1.0, cpu_ms_a_snapshot=26.0), "1.0 s CPU time, 26.0 ms per snapshot"),
        (result([0.05]), "p50 50, p95 50, p99 50, max 50 ms (n = 1)"),
        (result([0.05]), "2 clipped, 1 stale_seq"),
    ],
)
def test_the_result_table_handles_missing_values(document: dict[str, Any], text: str) -> None:
    assert text in shown(document)
