"""Dashboard and alerts ask for metrics that the platform has, in queries that Prometheus understands."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from anc.services.platform_metrics import TIMED

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "local" / "monitoring"
SOURCES = (ROOT / "layers/dsp/python/anc", ROOT / "functions", ROOT / "local")
INTERVAL = "$__rate_interval"  # Grafana fills it in before Prometheus sees the query


def counted() -> set[str]:
    """Return what the code counts: calls of `count("...")`, `_count("...")` and `counters.add("...")`."""
    names = set()
    for source in (path for folder in SOURCES for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                counts = node.func.attr in ("count", "_count") or ast.unparse(node.func).endswith(
                    "counters.add"
                )
                if counts and isinstance(first, ast.Constant):
                    names.add(str(first.value))
    return names


def exposed() -> set[str]:
    """Return every name under which Prometheus may find something."""
    histograms = {f"anc_{name}_seconds_{part}" for name in TIMED for part in ("bucket", "count", "sum")}
    return {"up"} | histograms | {f"anc_{name}_total" for name in counted()}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads((MONITORING / "dashboard.json").read_text())["panels"])


def queries() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in alerts()] + [query.replace(INTERVAL, "5m") for query in asked]


def selected(query: str) -> Iterator[str]:
    """Yield the metrics that a query selects."""
    names: list[str] = []

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.append(str(node.name))
        elif isinstance(node, promql_parser.MatrixSelector):
            names.append(str(node.vector_selector.name))
        return True

    promql_parser.walk(promql_parser.parse(query), note)
    yield from names


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_metrics_that_exist(query: str) -> None:
    names = set(selected(query))
    assert names
    assert names <= exposed()


def test_the_dashboard_shows_what_became_of_filters_before_they_were_sent_and_after() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    for fate in ("sent", "kept", "at_drivers_limit", "reverted"):
        assert f"anc_filters_{fate}_total" in shown


def test_a_metric_that_nobody_counts_would_be_found() -> None:
    assert not set(selected("rate(anc_unicorns_total[5m]) > 1")) <= exposed()


def test_the_page_operations_says_of_every_alert_what_to_do() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| ([A-Z]\w+) \|", page, re.MULTILINE)) == {rule["alert"] for rule in alerts()}


def test_every_alert_says_what_happened_and_how_bad_it_is() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_no_two_panels_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        x, y, w, h = (panel["gridPos"][edge] for edge in "xywh")
        cells = {(across, down) for across in range(x, x + w) for down in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken
        taken |= cells


def test_prometheus_is_told_where_its_rules_are() -> None:
    configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert all((MONITORING / name).exists() for name in configuration["rule_files"])
    assert [job["job_name"] for job in configuration["scrape_configs"]] == ["anc"]
