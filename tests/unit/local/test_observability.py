"""Queries of dashboard and alerts are valid and use metrics of the platform."""

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
OBSERVABILITY = ROOT / "deploy" / "observability"
SOURCES = (ROOT / "layers/dsp/python/anc", ROOT / "functions", ROOT / "local")
INTERVAL = "$__rate_interval"  # Grafana fills it in before Prometheus sees the query


def counted() -> set[str]:
    """Return the counters in the code: calls of `count("...")`, `_count("...")` and `counters.add("...")`."""
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
    """Return the names of all metrics."""
    histograms = {f"anc_{name}_seconds_{part}" for name in TIMED for part in ("bucket", "count", "sum")}
    return {"up"} | histograms | {f"anc_{name}_total" for name in counted()}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OBSERVABILITY / "rules" / "anc.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads((OBSERVABILITY / "grafana" / "dashboards" / "anc.json").read_text())["panels"])


def queries() -> list[str]:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in alerts()] + [query.replace(INTERVAL, "5m") for query in expressions]


def selected(query: str) -> Iterator[str]:
    """Yield the metrics of a query."""
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
def test_a_query_uses_existing_metrics(query: str) -> None:
    names = set(selected(query))
    assert names
    assert names <= exposed()


def test_the_dashboard_shows_the_outcome_of_filters() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    for fate in ("sent", "kept", "at_drivers_limit", "reverted"):
        assert f"anc_filters_{fate}_total" in shown


def test_an_unknown_metric_is_detected() -> None:
    assert not set(selected("rate(anc_unicorns_total[5m]) > 1")) <= exposed()


def test_every_alert_has_a_runbook_entry() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| ([A-Z]\w+) \|", page, re.MULTILINE)) == {rule["alert"] for rule in alerts()}


def test_every_alert_has_a_summary_a_description_and_a_severity() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        x, y, w, h = (panel["gridPos"][edge] for edge in "xywh")
        cells = {(across, down) for across in range(x, x + w) for down in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken
        taken |= cells


def test_the_prometheus_configuration_includes_the_alert_rules() -> None:
    configuration = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    assert all([*OBSERVABILITY.glob(name)] for name in configuration["rule_files"])
    assert [job["job_name"] for job in configuration["scrape_configs"]] == ["anc"]
